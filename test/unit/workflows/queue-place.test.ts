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
  expect(text('job-4')).toBe('job-4 is number 2 in the queue while job-2 runs');
  expect(text('job-6')).toBe('job-6 is number 4 in the queue while job-2 runs');
  expect(queueText('job-4', jobs.slice(2), 'cats')).toBe("job-4 is number 2 in the queue of 'cats'");
  expect(queueText('job-3', [job('job-1', 'running'), ...jobs.slice(1)], 'cats')).toBe("job-3 waits for 2 jobs, which run on 'cats'");
  expect(text('job-7')).toBeNull();
});

test('what waits for GPUs is told by the runner', () => {
  expect(queueText('job-2', [job('job-1', 'running', 2), job('job-2', 'queued', 1)], 'cats')).toBeNull();
});
