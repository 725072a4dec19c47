import { expect, test } from 'vitest';
import type { JobState } from '../../../src/protocol/job.ts';
import { queueText } from '../../../src/workflows/queue-place.ts';

const job = (id: string, state: JobState, gpus: number | null = null) => ({ id, state, gpus });

test('whom a job waits for, and its place', () => {
  const jobs = [job('job-1', 'ended'), job('job-2', 'running'), job('job-3', 'queued'), job('job-4', 'queued'), job('job-5', 'queued'), job('job-6', 'queued')];
  const text = (id: string) => queueText(id, jobs, 'cats');
  expect(text('job-1')).toBeNull();
  expect(text('job-2')).toBeNull();
  expect(text('job-3')).toBe("job-3 waits for job-2, which runs on 'cats'");
  expect(text('job-4')).toBe("job-4 waits for job-2, which runs on 'cats', and for job-3, which came first: it is number 2 in the queue");
  expect(text('job-6')).toMatch(/and for 3 jobs, which came first: it is number 4 in the queue$/);
  expect(text('job-7')).toBeNull();
});

test('what waits for GPUs is told by the runner', () => {
  expect(queueText('job-2', [job('job-1', 'running', 2), job('job-2', 'queued', 1)], 'cats')).toBeNull();
});
