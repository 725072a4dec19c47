/** A machine that answers with nonsense when it is asked who else is on it: nobody's job is ended for that, and no machine stays up in silence. */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { GpuRunError } from '../../../src/core/errors.ts';
import type { JobEntry } from '../../../src/core/job.ts';
import { ownIdentity } from '../../../src/core/process-identity.ts';
import type { MachineEntry } from '../../../src/ledger/ledger.ts';
import type { Call } from '../../../src/protocol/call-state.ts';
import type { JobSummary } from '../../../src/protocol/job.ts';
import { createFakeProvider } from '../../../src/testing/fake-provider.ts';
import { cancel } from '../../../src/workflows/cancel.ts';
import type { RunContext } from '../../../src/workflows/context.ts';
import type { endClaimed } from '../../../src/workflows/down.ts';
import { closeJobs } from '../../../src/workflows/keep-job.ts';
import { endIfLast, othersOn } from '../../../src/workflows/last-one.ts';
import { someIntent } from '../../contract/ledger-intent.ts';
import { instantTransport } from '../../support/instant-runner.ts';
import { jobEntry } from '../cli/entries.ts';
import { createFakeContext, type FakeContext } from './fake-context.ts';

let fake: FakeContext;
let machine: MachineEntry;
let mine: JobEntry;
let connects = true;
let onConnect = () => {};
let answer: (op: string, params: unknown, call: Call) => unknown;

beforeEach(() => {
  fake = createFakeContext((clock) => ({ fake: createFakeProvider({ clock, id: 'fake' }) }));
  const { ledger, clock } = fake.context;
  const { entry } = ledger.open({ ...someIntent('cats-1', 'cats'), provider: 'fake', deadline: clock.now() + 3_600_000, forOneJob: true });
  machine = { ...entry, access: { kind: 'own', host: '127.0.0.1', port: 1, user: 'gpu', hostKeys: [] } };
  mine = put('job-1', { state: 'ended', end: { code: 0, signal: null, reason: 'exit', detail: null }, startedAt: 1, endedAt: 2 });
  connects = true;
  onConnect = () => {};
});
afterEach(() => fake[Symbol.dispose]());

function put(id: string, changes: Partial<JobEntry> = {}): JobEntry {
  const job = jobEntry(null, { id, machineId: 'cats-1', machineName: 'cats', asOf: fake.clock.now() - 3_600_000, ...changes });
  fake.context.ledger.putJob(job);
  return job;
}

function summary(id: string, changes: Partial<JobSummary> = {}): JobSummary {
  const times = { createdAt: 1, startedAt: 1, endedAt: null };
  const nothing = { end: null, gpus: null, givenGpus: null, waitsFor: null, logBytes: 0, records: 1 };
  return { id, attempt: 1, state: 'running', command: 'true', ...times, ...nothing, ...changes };
}

const finished = { state: 'ended', end: { code: 0, signal: null, reason: 'exit', detail: null }, endedAt: 2 } as const;

/** What keeps the machine up when `job-1` is at its end; null: when a train that came to no job gives up. */
function stays(job: JobEntry | null = mine): Promise<string | null> {
  return whileTimePasses((context) => othersOn(job, machine, { teardown: 'auto' }, context));
}

async function whileTimePasses<T>(act: (context: RunContext) => Promise<T>): Promise<T> {
  const file = join(dirname(fake.context.home.ledger), 'runner.mjs');
  writeFileSync(file, 'the runner');
  const connect = async () => {
    onConnect();
    if (!connects) throw new GpuRunError('connection', 'Nobody answers.', { retry: 'same' });
  };
  const content = 'the runner';
  const line = instantTransport({
    content,
    connect,
    answer: (op, params, call) => (op === 'arm' ? { pid: 1, powerOff: null, problem: null } : answer(op, params, call)),
  });
  const context: RunContext = { ...fake.context, connect: () => line, runner: { ...fake.context.runner, file, version: 'test-1' } };
  let isDone = false;
  const acting = act(context).finally(() => {
    isDone = true;
  });
  acting.catch(() => {}); // awaited below
  while (!isDone) {
    await new Promise((resolve) => setImmediate(resolve));
    if (fake.clock.sleeping > 0) await fake.clock.advance(200);
  }
  return await acting;
}

const lies: readonly (readonly [string, unknown])[] = [
  ['is no list', { jobs: 'none' }],
  ['has no such thing as a state', { jobs: [summary('job-1', finished), { ...summary('job-2'), state: 'resting' }] }],
  ['lacks the job that has just run there', { jobs: [] }],
];

test.each(lies)('an answer that %s: the other job is neither ended nor called lost, and how the machine ends is said', async (_what, jobs) => {
  put('job-2', { state: 'running' });
  answer = (op) => (op === 'jobs' ? jobs : {});
  const text = await stays();
  expect(text).toMatch(/^'cats' stays up, as it can't be asked whether job-2 still runs on it: /);
  expect(text).toContain('gpu-run down cats   ends it; else its limits do, at 2026-01-01T01:00:00.000Z at the latest');
  expect(fake.context.ledger.getJob('job-2')?.state).toBe('running');
});

test.each(lies)('an answer that %s: each job is asked for by itself, and with the last of them the machine goes', async (_what, jobs) => {
  put('job-2', { state: 'running' });
  answer = async (op, _params, call) => {
    if (op === 'jobs') return jobs;
    const record = { type: 'state', n: 1, t: 5, state: 'ended', end: finished.end, logOffset: 0 };
    await call.event({ type: 'records', records: [record] });
    return {};
  };
  expect(await stays()).toBeNull();
  expect(fake.context.ledger.getJob('job-2')).toMatchObject({ state: 'ended', end: { code: 0 } });
});

test('a machine that nobody answers for stays up as well: what ran on it may go on', async () => {
  put('job-2', { state: 'running' });
  connects = false;
  expect(await stays()).toMatch(/^'cats' stays up, as it can't be asked whether job-2 still runs on it: Nobody answers\. gpu-run down cats {3}ends it/);
  expect(fake.context.ledger.getJob('job-2')?.state).toBe('running');
});

test('a machine that is gone by then keeps nobody: the job has ended, and is not started again for that', async () => {
  put('job-2', { state: 'running' });
  connects = false;
  fake.context.ledger.note('cats-1', { fact: 'gone', reason: 'it ended by itself', at: fake.clock.now(), leftovers: [] });
  expect(await stays()).toBeNull();
});

test('nonsense that passes is not heard of', async () => {
  put('job-2', { state: 'running' });
  let asked = 0;
  answer = (op) => {
    if (op !== 'jobs') throw new Error('not asked');
    asked += 1;
    return { jobs: asked === 1 ? null : [summary('job-1', finished), summary('job-2', finished)] };
  };
  expect(await stays()).toBeNull();
});

test.each([
  ['is refused as if the machine were taken back', Object.assign(new Error('no'), { code: 'preempted' })],
  ['lacks another job that has begun there', { jobs: [summary('job-1', finished)] }],
])('an answer that %s ends nobody’s job', async (_what, jobs) => {
  put('job-2', { state: 'running', startedAt: 1 });
  answer = (op) => {
    if (op !== 'jobs') return {};
    if (jobs instanceof Error) throw jobs;
    return jobs;
  };
  for (const job of [mine, null]) expect(await stays(job)).toMatch(/^'cats' stays up, as it can't be asked whether job-2 still runs on it: /);
  expect(fake.context.ledger.getJob('job-2')?.state).toBe('running');
});

test.each<[string, Partial<JobEntry>]>([
  ['has taken', { arrived: true }],
  ['made wait', { waitsFor: 'job-1' }],
])('an answer that lacks a job that the machine %s ends nobody’s job', async (_what, known) => {
  put('job-2', { state: 'queued', startedAt: null, ...known });
  answer = (op) => (op === 'jobs' ? { jobs: [summary('job-1', finished)] } : {});
  expect(await stays()).toMatch(
    /^'cats' stays up, as it can't be asked whether job-2 still runs on it: The runner's list of jobs lacks job-2, which it has taken\. /,
  );
});

test('a job that was lost there, of which its train has not heard yet, keeps the machine for its next attempt', async () => {
  const lost = { ...finished, end: { code: null, signal: null, reason: 'lost', detail: null } } as const;
  put('job-2', { state: 'running', startedAt: 1, retriedBy: ownIdentity() });
  answer = () => ({ jobs: [summary('job-1', finished), summary('job-2', lost)] });
  expect(await stays()).toBe("'cats' stays up: job-2 is about to be started again");
});

test.each<[string, () => unknown, string]>([
  ['has asked for the machine', () => fake.context.ledger.note('cats-1', { fact: 'kept' }), 'gpu-run up, or train --keep, has asked for it meanwhile'],
  ['has ordered a job', () => put('job-3', { state: 'queued', startedAt: null, asOf: fake.clock.now() }), 'job-3'],
])('another gpu-run that %s while the machine was asked who is on it, or has its logs copied', async (_what, come, whom) => {
  put('job-2', { state: 'running', startedAt: 1 });
  const both = [summary('job-1', finished), summary('job-2', finished)];
  const endSlowly = async (...[, , , whyStay]: Parameters<typeof endClaimed>) => {
    come();
    return { machine, leftovers: [], stays: whyStay?.() ?? 'nobody' };
  };
  answer = () => ({ jobs: both });
  const given = { job: mine, machine, input: { teardown: 'auto' }, reason: 'over', end: endSlowly } as const;
  expect(await whileTimePasses((context) => endIfLast(given, context))).toBe(false);
  expect(fake.reports.at(-1)).toMatchObject({ level: 'warn', text: expect.stringContaining(whom) });
  fake.context.ledger.changeJob('job-3', (job) => job && { ...job, ...finished });
  put('job-2', { state: 'running', startedAt: 1 });
  answer = () => {
    come();
    return { jobs: [...both, summary('job-3')] };
  };
  expect(await stays()).toContain(whom);
});

test('a machine has nothing to tell of the jobs of another one', async () => {
  put('job-2', { state: 'running', startedAt: 1 });
  put('job-3', { state: 'running', startedAt: 1, machineId: 'dogs-1', machineName: 'dogs' });
  answer = () => ({ jobs: [summary('job-1', finished), summary('job-2', finished), summary('job-3', finished)] });
  expect(await stays()).toBeNull();
  expect(fake.context.ledger.getJob('job-3')?.state).toBe('running');
});

test('a job that was sent before the clock was set back by a day is not waited for until then', async () => {
  put('job-2', { state: 'queued', startedAt: null, asOf: fake.clock.now() + 24 * 3_600_000 });
  answer = () => ({ jobs: [summary('job-1', finished)] });
  const since = fake.clock.now();
  expect(await stays()).toBeNull();
  expect(fake.clock.now() - since).toBeLessThan(3_600_000);
});

test('a machine that has forgotten all its jobs says so of each of them, and goes', async () => {
  put('job-2', { state: 'running' });
  answer = (op) => {
    if (op === 'jobs') return { jobs: [] };
    throw Object.assign(new Error('There is no such job on this machine.'), { code: 'not-found' });
  };
  expect(await stays()).toBeNull();
  expect(fake.context.ledger.getJob('job-2')).toMatchObject({ state: 'ended', end: { reason: 'lost' } });
});

test('a job that nobody here knows is somebody else’s: it keeps the machine up, and that is said; not once it has ended', async () => {
  put('job-2', { state: 'running' });
  const known = [summary('job-1', finished), summary('job-2', finished)];
  answer = () => ({ jobs: [...known, summary('job-9')] });
  expect(await stays()).toMatch(/^'cats' stays up for job-9, of which nothing is known here: gpu-run down cats {3}ends it; else its limits do, at /);
  put('job-2', { state: 'running' });
  answer = () => ({ jobs: [...known, summary('gpu-run down --all --yes   ends it')] });
  expect(await stays()).toMatch(/^'cats' stays up for a job with a strange name, of which nothing is known here: gpu-run down cats {3}ends it/);
  put('job-2', { state: 'running' });
  answer = () => ({ jobs: [...known, summary('job-9', finished)] });
  expect(await stays()).toBeNull();
});

test.each([
  ['that its train would start again: it is not', true],
  ['that nobody would start again: that it was lost is said', false],
])('cancel of a job whose machine has just gone, and %s', async (_which, isRetried) => {
  const { ledger, clock } = fake.context;
  put('job-2', { state: 'running', startedAt: 1, retriedBy: isRetried ? ownIdentity() : null });
  connects = false;
  onConnect = () => {
    expect(ledger.getJob('job-2')?.cancelAsked).toBe(true);
    closeJobs(machine, 'it ended by itself', fake.context);
    ledger.note('cats-1', { fact: 'gone', reason: 'it ended by itself', at: clock.now(), leftovers: [] });
  };
  const cats = { ...ledger, get: (id: string) => ({ ...(ledger.get(id) ?? machine), access: machine.access }), list: () => [] };
  const cancelled = whileTimePasses((context) => cancel({ jobId: 'job-2', graceMs: null }, { ...context, ledger: cats }));
  if (isRetried) expect(await cancelled).toMatchObject({ state: 'ended', end: { reason: 'cancelled' } });
  else await expect(cancelled).rejects.toMatchObject({ code: 'lost' });
  expect(ledger.getJob('job-2')?.end?.reason).toBe(isRetried ? 'cancelled' : 'lost');
});

test.each([
  ['arrives late', 3],
  ['never arrives', Number.POSITIVE_INFINITY],
])('cancel of a job that is being sent, and %s', async (_how, after) => {
  const { ledger, clock } = fake.context;
  const cats = { ...ledger, get: () => machine, list: () => [] };
  put('job-2', { state: 'queued', startedAt: null, asOf: clock.now() });
  let asked = 0;
  answer = (op) => {
    if (op !== 'cancel') throw new Error('not asked');
    asked += 1;
    if (after === 3) put('job-2', { state: 'queued', startedAt: null, asOf: clock.now() }); // whoever sends it tries again and again
    if (asked < after) throw Object.assign(new Error('There is no such job on this machine.'), { code: 'not-found' });
    return summary('job-2', { ...finished, end: { code: null, signal: null, reason: 'cancelled', detail: null } });
  };
  const cancelled = whileTimePasses((context) => cancel({ jobId: 'job-2', graceMs: null }, { ...context, ledger: cats }));
  if (after === 3) expect(await cancelled).toMatchObject({ state: 'ended', end: { reason: 'cancelled' } });
  else await expect(cancelled).rejects.toMatchObject({ code: 'not-found' });
  expect(asked).toBeGreaterThanOrEqual(Math.min(after, 1));
});
