/** What several followers learn of a job, in whichever order. */
import { expect, test } from 'vitest';
import type { JobEntry } from '../../../src/core/job.ts';
import { ownIdentity } from '../../../src/core/process-identity.ts';
import { createFakeProvider } from '../../../src/testing/fake-provider.ts';
import { isToGoOn, noteAgain, noteLeft, throwIfCancelled } from '../../../src/workflows/between-attempts.ts';
import { cancel } from '../../../src/workflows/cancel.ts';
import { downDetail, downReason, preemptedReason } from '../../../src/workflows/end-reason.ts';
import { closeJobs, closeUnsent, keepJob, noteSending, noteUnawaited } from '../../../src/workflows/keep-job.ts';
import { machineEntry } from '../cli/entries.ts';
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

test('a job whose train has given up in the moment in which it was to be started again is not about to be started again', () => {
  using fake = createFakeContext((clock) => ({ fake: createFakeProvider({ clock }) }));
  const { context } = fake;
  const known = () => context.ledger.getJob(job.id) ?? expect.unreachable();
  keepJob({ ...job, awaitedBy: ownIdentity(), retriedBy: ownIdentity() }, context);
  noteAgain(job, context);
  noteLeft(job, true, context);
  expect([isToGoOn(known()), known().awaitedBy]).toEqual([true, null]);
  noteLeft(job, false, context);
  expect([isToGoOn(known()), known().again, known().retriedBy ?? null]).toEqual([false, undefined, null]);
});

test('what only the train that runs a job knows of it stays, whoever else learns of the job late', async () => {
  using fake = createFakeContext((clock) => ({ fake: createFakeProvider({ clock }) }));
  const { context } = fake;
  const running: JobEntry = { ...job, state: 'running', end: null, endedAt: null, awaitedBy: ownIdentity(), checkpoints: 'state/job-1' };
  keepJob(running, context);
  const { checkpoints: _, ...seenBefore } = running; // by a follower, before the train has put it elsewhere
  keepJob(job, context);
  noteUnawaited(job, context);
  noteAgain(job, context);
  expect(keepJob({ ...seenBefore, state: 'ended', end: lost, endedAt: 2 }, context)).toMatchObject({ again: true });
  expect(context.ledger.getJob(job.id)).toEqual({ ...job, checkpoints: 'state/job-1', awaitedBy: null, again: true });
  expect(await cancel({ jobId: job.id, graceMs: null }, context)).toMatchObject({ end: { reason: 'cancelled' } });
  const late = { ...job, again: true };
  context.ledger.putJob(job);
  keepJob(late, context);
  expect(context.ledger.getJob(job.id)?.again).toBeUndefined();
});

test('a job is taken for never sent when nobody has tried to send it for so long, and runs all the same when its machine says so', () => {
  using fake = createFakeContext((clock) => ({ fake: createFakeProvider({ clock }) }));
  const { clock, ledger } = fake.context;
  const queued: JobEntry = { ...job, state: 'queued', end: null, startedAt: null, endedAt: null, asOf: clock.now() };
  const known = () => ledger.getJob(job.id);
  const lookIn = (ms: number) =>
    closeUnsent(machineEntry({ id: 'm-1' }), { ids: new Set(), asked: clock.now() + ms }, { ledger, clock: { ...clock, now: () => clock.now() + ms } });
  ledger.putJob({ ...queued, asOf: clock.now() - 60_000 });
  noteSending(queued, fake.context); // a second try
  lookIn(29_000);
  expect(known()).toEqual(queued);
  lookIn(31_000);
  expect(known()).toMatchObject({ state: 'ended', end: { reason: 'lost' } });
  noteSending(queued, fake.context);
  expect(known()?.state).toBe('ended');
  keepJob({ ...queued, state: 'running' }, fake.context);
  expect(known()).toMatchObject({ state: 'running', end: null });
  keepJob({ ...job, end: lost }, fake.context);
  keepJob({ ...queued, state: 'running' }, fake.context); // old news
  expect(known()?.state).toBe('ended');
});

test.each([
  [downReason, { reason: 'lost', detail: downDetail }],
  [preemptedReason, { reason: 'preempted', detail: `the machine ended: ${preemptedReason}` }],
  ['it burned', { reason: 'lost', detail: 'the machine ended: it burned' }],
])('a job whose machine is gone (%s)', (reason, end) => {
  using fake = createFakeContext((clock) => ({ fake: createFakeProvider({ clock }) }));
  keepJob({ ...job, state: 'running', end: null, endedAt: null }, fake.context);
  closeJobs(machineEntry({ id: 'm-1' }), reason, fake.context);
  expect(fake.context.ledger.getJob(job.id)).toMatchObject({ state: 'ended', end });
});
