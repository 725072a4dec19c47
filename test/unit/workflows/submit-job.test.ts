/** What the runner is told of a job: where it makes its checkpoints. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { GpuRunError } from '../../../src/core/errors.ts';
import type { JobEntry } from '../../../src/core/job.ts';
import type { JobSpec } from '../../../src/protocol/job.ts';
import { createFakeProvider } from '../../../src/testing/fake-provider.ts';
import { throwIfCancelled } from '../../../src/workflows/between-attempts.ts';
import { cancel } from '../../../src/workflows/cancel.ts';
import { claimFirst, type FirstCheckpoints } from '../../../src/workflows/first-checkpoints.ts';
import { openCopy } from '../../../src/workflows/open-copy.ts';
import { claimFor, type PlannedJob, planJob } from '../../../src/workflows/plan-job.ts';
import type { ReachedMachine } from '../../../src/workflows/reach-machine.ts';
import { bringCheckpoints, checkpointsOf, fetchedFolder } from '../../../src/workflows/resume-job.ts';
import { orderJob, submitJob } from '../../../src/workflows/submit-job.ts';
import type { TrainInput } from '../../../src/workflows/train-input.ts';
import { someIntent } from '../../contract/ledger-intent.ts';
import { jobEntry } from '../cli/entries.ts';
import { createFakeContext, type FakeContext, fakeInput } from './fake-context.ts';

let fake: FakeContext;
beforeEach(() => {
  fake = createFakeContext((clock) => ({ fake: createFakeProvider({ clock, id: 'fake' }) }));
});
afterEach(() => fake[Symbol.dispose]());

const told: JobSpec[] = [];
const runner = {
  async call(_op: string, { spec }: { readonly spec: JobSpec }) {
    told.push(spec);
    return { ahead: 0 };
  },
};

/** A machine with so many GPUs. */
function machineWith(id: string, count: number): ReachedMachine {
  const { entry } = fake.context.ledger.open({ ...someIntent(id, id), provider: 'fake', deadline: fake.context.clock.now() + 3_600_000 });
  const machine = { ...entry, offer: { ...entry.offer, gpu: { name: 'L4', count, memoryGb: 24 } } };
  return { machine, runner } as unknown as ReachedMachine;
}

function inputOf(gpus: number, resumeFrom: string | null, outputs: readonly string[] = ['runs/']): TrainInput {
  const up = { ...fakeInput, need: { ...fakeInput.need, gpu: { name: 'L4', count: gpus } } };
  const retry = { on: ['lost'], attempts: 3, resumeFrom };
  const rest = { setup: null, env: {}, secrets: {}, metrics: {}, graceMs: 1, preemptSignal: null, detach: false };
  return { ...rest, up, retry, outputs, command: { kind: 'shell', text: 'true' } } as unknown as TrainInput;
}

async function submit(input: TrainInput, on: ReachedMachine, before: JobEntry | null = null): Promise<{ job: JobEntry; spec: JobSpec }> {
  const job = orderJob(before ?? (await planJob(input, null, on, null, fake.context)), before, input, on.machine, fake.context);
  await submitJob(job, input, null, on, fake.context);
  return { job, spec: told.at(-1) as JobSpec };
}

test('jobs that may run side by side have a folder for checkpoints each, whatever the folder is', async () => {
  const two = machineWith('cats', 2);
  for (const [resumeFrom, base] of [
    [null, 'runs/checkpoints'],
    ['state', 'state'],
  ] as const) {
    const input = inputOf(1, resumeFrom);
    const { job, spec } = await submit(input, two);
    expect(spec.checkpoints).toBe(`${base}/${job.id}`);
    expect(checkpointsOf(input, job)).toBe(spec.checkpoints); // what is fetched, and sent to the next attempt
  }
});

test.each([
  ['the machine', [{ id: 'job-1' }], []],
  ['this computer, as it has just been sent,', [], ['job-1']],
])('a job that begins with checkpoints of this computer has a folder of its own where %s knows of another job', async (_who, there, here) => {
  const machine = machineWith('cats', 2);
  const call = async (op: string) => (op === 'jobs' ? { jobs: there } : expect.unreachable());
  for (const id of here) fake.context.ledger.putJob({ id, machineId: 'cats', machineName: 'cats', state: 'queued', createdAt: 1 } as JobEntry);
  const input: TrainInput = { ...inputOf(2, null), startFrom: '/here' };
  using claimed = claimFirst(machine.machine, fake.context);
  const planned = await planJob(input, null, { ...machine, runner: { call } } as unknown as ReachedMachine, claimed, fake.context);
  expect(planned.checkpoints).toBe(`runs/checkpoints/${planned.id}`);
  expect(orderJob(planned, null, input, machine.machine, fake.context)).toMatchObject({ ...planned, gpus: null });
  expect(fake.reports).toContainEqual(expect.objectContaining({ text: expect.stringContaining(`${planned.id} begins and saves in ${planned.checkpoints}`) }));
  const fresh = { call: async () => ({ jobs: [] }) };
  const dogs = machineWith('dogs', 2);
  using free = claimFirst(dogs.machine, fake.context);
  const first = await planJob(input, null, { ...dogs, runner: fresh } as unknown as ReachedMachine, free, fake.context);
  expect(first.checkpoints).toBeUndefined();
});

describe('two jobs that are ordered in the same moment on a fresh machine, one of which begins with checkpoints of this computer', () => {
  const steps = ['claims', 'plans', 'sends'] as const;
  const answers = { call: async (op: string) => (op === 'jobs' ? { jobs: [] } : { ahead: 0 }) };

  test.each([0, 1, 2, 3])('never share a folder, if the other one is ordered after %i of its steps', async (after) => {
    const cats = { ...machineWith('cats', 1), runner: answers } as unknown as ReachedMachine;
    const [input, begins]: readonly TrainInput[] = [inputOf(1, 'state'), { ...inputOf(1, 'state'), startFrom: '/here' }];
    const other = async () =>
      orderJob(await planJob(input as TrainInput, null, cats, null, fake.context), null, input as TrainInput, cats.machine, fake.context);
    let plain: JobEntry | null = null;
    let claimed: FirstCheckpoints | null = null;
    let planned: PlannedJob | null = null;
    for (const [index, step] of steps.entries()) {
      if (index === after) plain = await other();
      if (step === 'claims') claimed = claimFirst(cats.machine, fake.context);
      if (step === 'plans') planned = await planJob(begins as TrainInput, null, cats, claimed, fake.context);
      if (step === 'sends') orderJob(planned as PlannedJob, null, begins as TrainInput, cats.machine, fake.context, claimed?.isOurs);
    }
    plain ??= await other();
    claimed?.[Symbol.dispose]();
    expect(new Set([checkpointsOf(input as TrainInput, plain), checkpointsOf(begins as TrainInput, planned as PlannedJob)]).size).toBe(2);
    expect(fake.context.ledger.getJob(plain.id)?.checkpoints).toBe(plain.checkpoints);
    const later = await other(); // the first one is in the queue: this one comes behind it
    expect(checkpointsOf(input as TrainInput, later)).toBe('state');
  });

  test('nor do two that were lost with one machine, go on from what was fetched of them and meet on the next one', async () => {
    const cats = { ...machineWith('cats', 1), runner: answers } as unknown as ReachedMachine;
    const input = inputOf(1, 'state');
    const folders: string[] = [];
    for (const id of ['job-1', 'job-2', 'job-3']) {
      const before = jobEntry({ reason: 'lost', code: null }, { id, machineId: 'gone-1' });
      if (id !== 'job-3') mkdirSync(join(fake.context.home.jobs, id, 'checkpoints/1/state'), { recursive: true }); // nothing was fetched of the third
      using claim = claimFor(before, input, cats.machine, fake.context);
      const planned = await planJob(input, before, cats, claim, fake.context);
      const job = orderJob(planned, before, input, cats.machine, fake.context, claim?.isOurs);
      expect(job).toMatchObject({ id, attempts: 2, machineId: 'cats' });
      folders.push(checkpointsOf(input, job));
      const newest = join(fake.context.home.jobs, id, 'checkpoints/1');
      expect(fetchedFolder(newest, input, job)).toBe('state'); // as the attempt before has left it
      if (id === 'job-2') expect(claimFor(job, input, machineWith('dogs', 1).machine, fake.context)).toBeNull(); // it has one of its own from now on
    }
    expect(folders).toEqual(['state', 'state/job-2', 'state']);
  });

  test('two that both begin with some have different ones, and one that has died keeps none from having the first', async () => {
    const cats = { ...machineWith('cats', 1), runner: answers } as unknown as ReachedMachine;
    const input: TrainInput = { ...inputOf(1, 'state'), startFrom: '/here' };
    writeFileSync(join(mkdirSync(fake.context.home.scratch) ?? fake.context.home.scratch, 'cats.checkpoints'), '{"pid":999999999,"started":"x:1"}');
    const claims = [claimFirst(cats.machine, fake.context), claimFirst(cats.machine, fake.context)];
    const folders = await Promise.all(claims.map(async (claim) => checkpointsOf(input, await planJob(input, null, cats, claim, fake.context))));
    for (const claim of claims) claim[Symbol.dispose]();
    expect(folders).toEqual(['state', expect.stringMatching(/^state\/job-/)]);
  });
});

describe('on the machine of the attempt before, a job that saved there goes on in the same folder', () => {
  const other = (changes: Partial<JobEntry>) => jobEntry(null, { id: 'job-2', machineId: 'cats', ...changes });
  const ended = { state: 'ended', end: { code: 0, signal: null, reason: 'exit', detail: null } } as const;
  const there = { id: 'job-9', startedAt: 40, endedAt: null };

  test.each<[string, Partial<JobEntry> | null, object | null, string]>([
    ['while it is alone there', null, null, 'state'],
    ['where another one had ended before it began', { ...ended, startedAt: 1, endedAt: 9 }, { ...there, startedAt: 1, endedAt: 9 }, 'state'],
    ['where the other one has a folder of its own', { state: 'running', startedAt: 20, checkpoints: 'state/job-2' }, null, 'state'],
    ['and not where another one has run meanwhile', { ...ended, startedAt: 20, endedAt: 30 }, null, 'state/job-1'],
    ['and not where another one runs', { state: 'running', startedAt: 20 }, null, 'state/job-1'],
    ['and not where another one waits', { state: 'queued', startedAt: null }, null, 'state/job-1'],
    ['and not where somebody has run of whom nobody here knows', null, there, 'state/job-1'],
  ])('%s', async (_where, here, told, folder) => {
    const { ledger } = fake.context;
    const before = jobEntry({ reason: 'lost', code: null }, { id: 'job-1', machineId: 'cats', startedAt: 10, endedAt: 50 });
    const copy = openCopy(before.id, fake.context);
    copy.keep((files) => files.writeRecords([{ type: 'checkpoint', n: 1, t: 0, path: 'state/last', bytes: 1, beganAt: 0, endedAt: 0 }]));
    copy.close();
    for (const job of here === null ? [before] : [before, other(here)]) ledger.putJob(job);
    const jobs = [{ ...there, id: 'job-1', startedAt: 10, endedAt: 50 }, ...(told === null ? [] : [told])];
    const cats = { ...machineWith('cats', 1), runner: { call: async () => ({ jobs }) } } as unknown as ReachedMachine;
    using claim = claimFor(before, inputOf(1, 'state'), cats.machine, fake.context);
    const planned = await planJob(inputOf(1, 'state'), before, cats, claim, fake.context);
    expect(checkpointsOf(inputOf(1, 'state'), planned)).toBe(folder);
    expect(await bringCheckpoints(before, planned, inputOf(1, 'state'), cats, fake.context)).toBe(folder === 'state' ? folder : null); // nothing was fetched
  });
});

test('its next attempt has the same one, also with a machine to itself', async () => {
  const { job } = await submit(inputOf(1, null), machineWith('cats', 2));
  const elsewhere = machineWith('dogs', 1);
  const { job: again, spec } = await submit(inputOf(1, null), elsewhere, job);
  expect(again.gpus).toBeNull();
  expect([spec.attempt, spec.checkpoints]).toEqual([2, `runs/checkpoints/${job.id}`]);
  expect(fake.context.ledger.getJob(job.id)?.checkpoints).toBe(spec.checkpoints);
});

test('a job that is cancelled while its next attempt is being made stays so, and nobody sends it', async () => {
  const { ledger } = fake.context;
  const before = jobEntry({ reason: 'lost', code: null }, { id: 'job-1', machineId: 'gone-1', again: true });
  ledger.putJob(before);
  throwIfCancelled(before, fake.context); // the last look
  expect((await cancel({ jobId: 'job-1', graceMs: null }, fake.context)).end?.reason).toBe('cancelled');
  const { machine } = machineWith('cats', 1);
  expect(() => orderJob(before, before, inputOf(1, null), machine, fake.context)).toThrow('was cancelled between two attempts');
  expect(ledger.getJob('job-1')).toMatchObject({ attempts: 1, state: 'ended', end: { reason: 'cancelled' } });
});

test('a place in the queue that can not be told costs no job', async () => {
  const machine = machineWith('cats', 2);
  const asked: string[] = [];
  const call = async (op: string) => {
    asked.push(op);
    if (op === 'submit') return { ahead: 1 };
    throw new GpuRunError('protocol', 'The answer to jobs has the wrong shape.');
  };
  const input = inputOf(2, null);
  const job = orderJob(await planJob(input, null, machine, null, fake.context), null, input, machine.machine, fake.context);
  await submitJob(job, input, null, { ...machine, runner: { call } } as unknown as ReachedMachine, fake.context);
  expect(asked).toEqual(['submit', 'jobs']);
});

test('a job with the machine to itself has the folder that its outputs and the file say', async () => {
  const machine = machineWith('cats', 2);
  expect((await submit(inputOf(2, null), machine)).spec.checkpoints).toBeUndefined();
  const { job, spec } = await submit(inputOf(2, 'state'), machine);
  expect(spec.checkpoints).toBe('state');
  expect(checkpointsOf(inputOf(2, 'state'), job)).toBe('state');
});
