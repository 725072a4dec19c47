import { describe, expect, test } from 'vitest';
import { parseAnswer } from '../../../src/protocol/answer-parse.ts';
import { FrameError } from '../../../src/protocol/frame.ts';
import type { JobSummary } from '../../../src/protocol/job.ts';

const waiting: JobSummary = {
  id: 'job-1',
  attempt: 1,
  state: 'queued',
  end: null,
  command: 'python train.py',
  createdAt: 1,
  startedAt: null,
  endedAt: null,
  gpus: 1,
  givenGpus: null,
  waitsFor: 'a GPU',
  logBytes: 0,
  records: 1,
};
const end = { code: 0, signal: null, reason: 'exit', detail: null } as const;
const ended: JobSummary = { ...waiting, state: 'ended', end, startedAt: 2, endedAt: 3, givenGpus: [0], waitsFor: null, errBytes: 5 };

test('what a runner answers is taken as it is', () => {
  expect(parseAnswer('jobs', { jobs: [waiting, ended] })).toEqual({ jobs: [waiting, ended] });
  expect(parseAnswer('cancel', ended)).toBe(ended);
  expect(parseAnswer('submit', { ...waiting, ahead: 2 })).toEqual({ ...waiting, ahead: 2 });
  for (const gap of [null, { from: 0, to: 1 }]) expect(parseAnswer('seek', { offset: 1, bytes: 2, gap })).toEqual({ offset: 1, bytes: 2, gap });
  expect(parseAnswer('shutdown', {})).toEqual({});
});

describe('refused is', () => {
  test.each<readonly [string, object]>([
    ['a job without a name', { id: null }],
    ['an attempt that is none', { attempt: '1' }],
    ['an unknown state', { state: 'paused' }],
    ['an end before the end', { end }],
    ['an end that does not say how', { state: 'ended', end: null }],
    ['a command that is no text', { command: ['rm'] }],
    ['a start that no calendar has', { startedAt: 1e300 }],
    ['an end in words', { endedAt: 'now' }],
    ['GPUs that are no numbers', { givenGpus: ['0'] }],
    ['half a GPU', { gpus: 0.5 }],
    ['a reason to wait that is none', { waitsFor: 5 }],
    ['a log of less than nothing', { logBytes: -1 }],
    ['a log of stderr without a length', { errBytes: null }],
    ['records beyond counting', { records: 1e300 }],
  ])('%s', (_, lie) => {
    expect(() => parseAnswer('jobs', { jobs: [ended, { ...waiting, ...lie }] })).toThrow(FrameError);
    expect(() => parseAnswer('cancel', { ...waiting, ...lie })).toThrow('the answer to cancel');
  });

  test.each([
    ['jobs', []],
    ['submit', waiting],
    ['seek', { offset: 5, bytes: 4, gap: null }],
    ['seek', { offset: -1, bytes: 4, gap: null }],
    ['seek', { offset: 1, bytes: 4, gap: { from: 2, to: 1 } }],
    ['seek', { offset: 1, bytes: 4, gap: 'none' }],
    ['hello', { now: 1, root: '/', workdir: null, runnerVersion: '' }],
    ['hello', { now: 1e300, root: '/', workdir: '/', runnerVersion: '' }],
    ['arm', { pid: 1, powerOff: ['poweroff'], problem: null }],
    ['gpus', { gpus: [{ index: 0 }], problem: null }],
  ] as const)('%s: %o', (op, value) => {
    expect(() => parseAnswer(op, value)).toThrow(FrameError);
  });
});
