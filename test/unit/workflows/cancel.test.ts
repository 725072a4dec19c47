/** Whether a job's end stays wished when `cancel` fails: else it is not started again where it should be, or is where it should not. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { GpuRunError } from '../../../src/core/errors.ts';
import type { JobEntry } from '../../../src/core/job.ts';
import { ownIdentity } from '../../../src/core/process-identity.ts';
import type { JobSummary } from '../../../src/protocol/job.ts';
import { noteAgain } from '../../../src/workflows/between-attempts.ts';
import { cancel } from '../../../src/workflows/cancel.ts';
import { createInstantMachine, type InstantMachine } from './instant-machine.ts';

let cats: InstantMachine;
beforeEach(async () => {
  cats = await createInstantMachine();
});
afterEach(() => cats[Symbol.dispose]());

const silent = () => Promise.reject(new GpuRunError('connection', 'Nobody answers.', { retry: 'same' }));
const refused = (code: string) => Promise.reject(Object.assign(new Error('no'), { code }));
const lost = { code: null, signal: null, reason: 'lost', detail: null } as const;
const known = () => cats.context.ledger.getJob('job-1');

function cancelJob1(): Promise<JobEntry> {
  return cats.whileTimePasses(() => cancel({ jobId: 'job-1', graceMs: null }, cats.context));
}

function summary(changes: Partial<JobSummary>): JobSummary {
  const nothing = { end: null, gpus: null, givenGpus: null, waitsFor: null, logBytes: 0, records: 1 };
  return { id: 'job-1', attempt: 1, state: 'running', command: 'true', createdAt: 1, startedAt: 1, endedAt: null, ...nothing, ...changes };
}

test('nobody answers: the machine has heard nothing, and the job goes on as if nobody had wished its end', async () => {
  cats.put('job-1', { retriedBy: ownIdentity() });
  cats.connect = async () => {
    expect(known()?.cancelAsked).toBe(true);
    return await silent();
  };
  await expect(cancelJob1()).rejects.toMatchObject({ code: 'connection' });
  expect(known()?.cancelAsked).toBeUndefined();
});

test('nobody answers one who comes after another, whom the machine has heard: the wish is not taken back', async () => {
  cats.put('job-1', { cancelAsked: true });
  cats.connect = silent;
  await expect(cancelJob1()).rejects.toMatchObject({ code: 'connection' });
  expect(known()?.cancelAsked).toBe(true);
});

test('interrupted while the job is waited for on its machine: nobody has heard of the wish', async () => {
  cats.put('job-1', { state: 'queued', startedAt: null, asOf: cats.fake.clock.now() });
  cats.answer = async () => {
    setImmediate(() => cats.fake.abort.abort()); // by then it sleeps
    return await refused('not-found');
  };
  const cancelled = cancel({ jobId: 'job-1', graceMs: null }, cats.context);
  await expect(cancelled).rejects.toMatchObject({ name: 'AbortError' });
  expect(known()?.cancelAsked).toBeUndefined();
});

test.each<[string, unknown, string, true | undefined]>([
  ['makes no sense: it may have taken the order', { state: 'resting' }, 'protocol', true],
  ['is that something went wrong there: it may have taken the order', 'internal', 'internal', true],
  ['is that its disk is full: it has not', 'disk-full', 'disk-full', undefined],
  ['is that there is no such job: it has not', 'not-found', 'not-found', undefined],
])('an answer that %s', async (_what, answer, code, isAsked) => {
  cats.put('job-1', { retriedBy: ownIdentity() });
  cats.answer = () => (typeof answer === 'string' ? refused(answer) : answer);
  await expect(cancelJob1()).rejects.toMatchObject({ code });
  expect(known()?.cancelAsked).toBe(isAsked);
});

test('the machine tells that it was lost, which its train has not heard: it is not started again', async () => {
  const job = cats.put('job-1', { retriedBy: ownIdentity() });
  cats.answer = () => {
    noteAgain(cats.put('job-1', { state: 'ended', end: lost, endedAt: 2, retriedBy: ownIdentity() }), cats.context);
    return summary({ state: 'ended', end: lost, endedAt: 2 });
  };
  expect(await cancelJob1()).toMatchObject({ end: { reason: 'cancelled' } });
  noteAgain(job, cats.context);
  expect(known()).toMatchObject({ end: { reason: 'cancelled' } });
});

test('a next attempt that has begun meanwhile is cancelled instead; the wish is that of the attempt that was asked', async () => {
  cats.put('job-1');
  const asked: unknown[] = [];
  cats.answer = (_op, params) => {
    const { id } = params as { id: string };
    asked.push([id, known()?.attempts, known()?.cancelAsked]);
    if (id !== 'job-1') return summary({ id, attempt: 2, state: 'ended', end: { ...lost, reason: 'cancelled' }, endedAt: 2 });
    cats.put('job-1', { attempts: 2 });
    return summary({ state: 'ended', end: lost, endedAt: 2 });
  };
  expect(await cancelJob1()).toMatchObject({ attempts: 2, end: { reason: 'cancelled' } });
  expect(asked).toEqual([
    ['job-1', 1, true],
    ['job-1_2', 2, true],
  ]);
});

test('a next attempt that has begun before anybody answers is nobody’s to end', async () => {
  cats.put('job-1');
  cats.connect = async () => {
    if (known()?.attempts === 1) cats.put('job-1', { attempts: 2 });
    return await silent();
  };
  await expect(cancelJob1()).rejects.toMatchObject({ code: 'connection' });
  expect(known()).toMatchObject({ attempts: 2 });
  expect(known()?.cancelAsked).toBeUndefined();
});

test('a next attempt that has begun before its machine turns out to be gone hears nothing either: nobody has wished its end', async () => {
  cats.put('job-1');
  cats.connect = async () => {
    if (known()?.attempts !== 1) return await silent();
    cats.put('job-1', { attempts: 2 });
    throw new GpuRunError('lost', 'It is gone.');
  };
  await expect(cancelJob1()).rejects.toMatchObject({ code: 'connection' });
  expect(known()).toMatchObject({ attempts: 2 });
  expect(known()?.cancelAsked).toBeUndefined();
});
