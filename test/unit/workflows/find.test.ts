import { expect, test } from 'vitest';
import { findJob } from '../../../src/workflows/find.ts';
import { jobEntry } from '../cli/entries.ts';

test('a job is found by the last part of its id, where no other one has it', () => {
  const jobs = ['job-20261121-k3v9xq', 'job-20261121-aaaaaa', 'job-20261122-aaaaaa'].map((id) => jobEntry(null, { id }));
  const ledger = { getJob: (id: string) => jobs.find((job) => job.id === id) ?? null, listJobs: () => jobs };
  const find = (jobId: string) => findJob({ jobId, machineName: '', unfinished: false }, { ledger } as never).id;
  expect(find('k3v9xq')).toBe('job-20261121-k3v9xq');
  expect(find('job-20261122-aaaaaa')).toBe('job-20261122-aaaaaa');
  for (const typed of ['aaaaaa', '3v9xq', '']) expect(() => find(typed)).toThrow(`There is no job '${typed}'.`);
});
