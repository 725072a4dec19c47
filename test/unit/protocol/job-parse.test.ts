import { describe, expect, test } from 'vitest';
import { FrameError } from '../../../src/protocol/frame.ts';
import type { JobRecord } from '../../../src/protocol/job.ts';
import { parseFollowEvent, parseJobRecord } from '../../../src/protocol/job-parse.ts';

const end = { code: null, signal: null, reason: 'lost', detail: 'the machine was started anew' } as const;
const state: JobRecord = { n: 1, t: 5, type: 'state', state: 'running', logOffset: 0 };
const ended: JobRecord = { n: 2, t: 6.5, type: 'state', state: 'ended', logOffset: 9, end };
const metric: JobRecord = { n: 3, t: 7, type: 'metric', values: { loss: -0.5 }, step: 1, epoch: null, source: 'json', at: 12 };
const note: JobRecord = { n: 4, t: 8, type: 'note', level: 'warn', text: 'careful' };

describe('parseJobRecord', () => {
  test.each([state, ended, metric, note])('takes $type $n as it is', (record) => {
    expect(parseJobRecord(record)).toBe(record);
  });

  test.each<readonly [string, unknown]>([
    ['nothing', null],
    ['a list', [state]],
    ['no number', { ...state, n: undefined }],
    ['the number 0', { ...state, n: 0 }],
    ['a time in words', { ...state, t: 'now' }],
    ['an unknown type', { ...state, type: 'other' }],
    ['an unknown state', { ...state, state: 'paused' }],
    ['no place in the log', { ...state, logOffset: -1 }],
    ['an end that says nothing', { ...ended, end: undefined }],
    ['an end without a reason', { ...ended, end: { ...end, reason: 'bored' } }],
    ['a code that is no number', { ...ended, end: { ...end, code: '0' } }],
    ['values that are no numbers', { ...metric, values: { loss: null } }],
    ['a step that is none', { ...metric, step: 'one' }],
    ['an unknown source', { ...metric, source: 'guess' }],
    ['an unknown level', { ...note, level: 'fatal' }],
    ['a text that is none', { ...note, text: { toString: 'x' } }],
  ])('refuses %s', (_, record) => {
    expect(() => parseJobRecord(record)).toThrow(FrameError);
  });
});

describe('parseFollowEvent', () => {
  test('finds the record; other kinds of events are signs of life', () => {
    expect(parseFollowEvent({ type: 'record', record: note })).toBe(note);
    expect(parseFollowEvent({ type: 'heartbeat', now: 0 })).toBeNull();
  });

  test.each<readonly [string, unknown]>([
    ['nothing', null],
    ['a number', 5],
    ['no type', {}],
    ['no record', { type: 'record' }],
  ])('refuses %s', (_, event) => {
    expect(() => parseFollowEvent(event)).toThrow(FrameError);
  });
});
