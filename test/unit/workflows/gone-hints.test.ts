import { expect, test } from 'vitest';
import { GpuRunError } from '../../../src/core/errors.ts';
import type { JobEntry } from '../../../src/core/job.ts';
import { ownIdentity } from '../../../src/core/process-identity.ts';
import { downReason, preemptedReason } from '../../../src/workflows/end-reason.ts';
import { withJobHints } from '../../../src/workflows/gone-hints.ts';
import { jobEntry, machineEntry } from '../cli/entries.ts';

const told = (error: unknown, job: Partial<JobEntry>, endReason: string | null = null) => {
  const entry = jobEntry(null, job);
  return withJobHints(error, entry, { ledger: { getJob: () => entry, get: () => machineEntry({ endReason }) } as never });
};
const lost = new GpuRunError('preempted', 'It is gone.', { hints: ['gpu-run up cats   makes a new one', 'Take another one.'], retry: 'elsewhere' });

test('a job that was cut short is started again by train, or its next attempt followed; nobody is told to take a machine alone', () => {
  expect(told(lost, {})).toMatchObject({
    code: 'preempted',
    message: 'It is gone.',
    retry: 'elsewhere',
    hints: ['gpu-run train   starts it again', 'Take another one.'],
  });
  const next = [
    expect.stringMatching(/^gpu-run logs job-\S+ --follow {3}shows the next attempt/),
    'gpu-run train   starts it again otherwise',
    'Take another one.',
  ];
  expect(told(lost, { again: true })).toMatchObject({ hints: next });
  expect(told(lost, { awaitedBy: ownIdentity() })).toMatchObject({ hints: next });
  expect(told(lost, { awaitedBy: ownIdentity() }, preemptedReason)).toMatchObject({ hints: next });
  // Nobody tries again what somebody has ended.
  expect(told(lost, { awaitedBy: ownIdentity() }, downReason)).toMatchObject({ hints: ['gpu-run train   starts it again', 'Take another one.'] });
});

test('after several attempts there may be a checkpoint: how to go on from it is said', () => {
  expect(told(lost, { attempts: 2 })).toMatchObject({
    hints: ['gpu-run train   starts it again from nothing, with --start-from FOLDER from a checkpoint', 'Take another one.'],
  });
});

test('other errors stay as they are', () => {
  const late = new GpuRunError('deadline', 'Over.', { hints: ['gpu-run up cats   makes a new one'] });
  expect(told(late, { again: true })).toBe(late);
  expect(told(lost.message, {})).toBe(lost.message);
});
