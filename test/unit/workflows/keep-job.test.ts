/** What several followers learn of a job, in whichever order. */
import { expect, test } from 'vitest';
import type { JobEntry } from '../../../src/core/job.ts';
import { createFakeProvider } from '../../../src/testing/fake-provider.ts';
import { noteAgain, throwIfCancelled } from '../../../src/workflows/between-attempts.ts';
import { cancel } from '../../../src/workflows/cancel.ts';
import { keepJob } from '../../../src/workflows/keep-job.ts';
import { createFakeContext } from './fake-context.ts';

const lost = { code: null, signal: null, reason: 'lost', detail: null } as const;
const job: JobEntry = {
  ...{ id: 'job-1', machineId: 'm-1', machineName: 'cats', command: 'x', state: 'ended', end: lost, attempts: 1 },
  ...{ createdAt: 0, startedAt: 1, endedAt: 2, asOf: 2, user: 'me', branch: null },
};

test('a job whose next attempt was cancelled stays cancelled, whoever tells late how this one ended', async () => {
  using fake = createFakeContext((clock) => ({ fake: createFakeProvider({ clock }) }));
  const { context } = fake;
  keepJob(job, context);
  expect(await cancel({ jobId: job.id, graceMs: null }, context)).toMatchObject({ end: { reason: 'lost' } }); // nobody is about to start it
  noteAgain(job, context);
  throwIfCancelled(job, context);
  await cancel({ jobId: job.id, graceMs: null }, context);
  keepJob(job, context);
  noteAgain(job, context);
  expect(() => throwIfCancelled(job, context)).toThrow('was cancelled between two attempts');
  expect(context.ledger.getJob(job.id)?.again).toBeUndefined();
  keepJob({ ...job, attempts: 2, state: 'running', end: null, endedAt: null }, context);
  expect(context.ledger.getJob(job.id)).toMatchObject({ attempts: 2, state: 'running' });
});
