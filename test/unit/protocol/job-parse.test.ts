import { describe, expect, test } from 'vitest';
import { FrameError } from '../../../src/protocol/frame.ts';
import type { JobRecord } from '../../../src/protocol/job.ts';
import { parseFollowEvent, parseJobRecord } from '../../../src/protocol/job-parse.ts';

const end = { code: null, signal: null, reason: 'lost', detail: 'the machine was started anew' } as const;
const state: JobRecord = { n: 1, t: 5, type: 'state', state: 'running', logOffset: 0 };
const ended: JobRecord = { n: 2, t: 6.5, type: 'state', state: 'ended', logOffset: 9, end };
const metric: JobRecord = { n: 3, t: 7, type: 'metric', values: { loss: -0.5 }, step: 1, epoch: null, source: 'json', at: 12 };
const note: JobRecord = { n: 4, t: 8, type: 'note', level: 'warn', text: 'careful' };
const gpu = {
  index: 0,
  name: 'NVIDIA L4',
  utilization: Array.from({ length: 20 }, () => 0),
  utilizationMean: null,
  memoryPeakBytes: 1,
  memoryMeanBytes: 1,
  memoryTotalBytes: 2,
  powerMeanWatts: 30.5,
  powerLimitWatts: 72,
  temperatureMaxC: 60,
  smClockMeanMhz: null,
  smClockMaxMhz: null,
  throttled: { 'power-cap': 1 },
  starved: 0,
  eccUncorrected: null,
  xids: [79],
} as const;
const host = {
  cpus: 2,
  cpuMean: 50,
  busiestCpuMean: 90,
  memoryPeakBytes: 1,
  memoryTotalBytes: 2,
  diskReadBytes: null,
  diskWriteBytes: null,
  diskFreeBytes: null,
  netReceivedBytes: null,
  netSentBytes: null,
};
const span = { from: 1, to: 2, samples: 1, source: 'nvml', gpus: [gpu], host } as const;
const telemetry: JobRecord = { n: 5, t: 9, type: 'telemetry', span };
const checkpoint: JobRecord = { n: 6, t: 9, type: 'checkpoint', path: 'checkpoints/1.pt', bytes: 3, beganAt: 1, endedAt: 2 };

describe('parseJobRecord', () => {
  test.each([state, ended, metric, note, telemetry, checkpoint])('takes $type $n as it is', (record) => {
    expect(parseJobRecord(record)).toBe(record);
  });

  test.each<readonly [string, unknown]>([
    ['nothing', null],
    ['a list', [state]],
    ['no number', { ...state, n: undefined }],
    ['the number 0', { ...state, n: 0 }],
    ['a time in words', { ...state, t: 'now' }],
    ['a time that no calendar has', { ...state, t: 1e300 }],
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
    ['a span without a host', { ...telemetry, span: { ...span, host: null } }],
    ['a GPU with too few counts', { ...telemetry, span: { ...span, gpus: [{ ...gpu, utilization: [1] }] } }],
    ['a GPU slowed down for an unknown reason', { ...telemetry, span: { ...span, gpus: [{ ...gpu, throttled: { boredom: 1 } }] } }],
    ['a GPU whose memory is a text', { ...telemetry, span: { ...span, gpus: [{ ...gpu, memoryPeakBytes: '1' }] } }],
    ['a checkpoint without a path', { ...checkpoint, path: null }],
    ['a text that is none', { ...note, text: { toString: 'x' } }],
  ])('refuses %s', (_, record) => {
    expect(() => parseJobRecord(record)).toThrow(FrameError);
  });
});

describe('parseFollowEvent', () => {
  test('finds the records; other kinds of events are signs of life', () => {
    expect(parseFollowEvent({ type: 'records', records: [note, note] })).toEqual({ type: 'records', records: [note, note] });
    expect(parseFollowEvent({ type: 'heartbeat', now: 0 })).toBeNull();
  });

  test.each<readonly [string, unknown]>([
    ['nothing', null],
    ['a number', 5],
    ['no type', {}],
    ['no records', { type: 'records' }],
    ['a record that is none', { type: 'records', records: [note, null] }],
    ['a mark at a time that no calendar has', { type: 'times', stream: 'out', marks: [[10, Number.MAX_SAFE_INTEGER]] }],
    ['a gap that no disk has', { type: 'gap', stream: 'out', from: 0, to: 1e15 }],
  ])('refuses %s', (_, event) => {
    expect(() => parseFollowEvent(event)).toThrow(FrameError);
  });
});
