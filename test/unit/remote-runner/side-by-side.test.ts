/** Jobs that share a machine's GPUs, through real runner processes and a driver's tool that tells of GPUs which are not there. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { gpusOf } from '../../../remote-runner/grant.ts';
import { jobFolder, machineFolder } from '../../../remote-runner/machine-folder.ts';
import type { JobSpec } from '../../../src/protocol/job.ts';
import type { RunnerClient } from '../../../src/runner/client.ts';
import { useBuiltRunner } from '../../support/built-runner.ts';
import { createFakeGpus, type FakeGpus } from '../../support/fake-gpu/fake-gpu.ts';
import { createMachine, followToEnd, kill, processesHolding, specOf, summaryOf, type TestMachine, until } from '../../support/runner.ts';

const built = useBuiltRunner();
let gpus: FakeGpus;
let machine: TestMachine;
let client: RunnerClient;

beforeEach(async () => {
  const { CUDA_VISIBLE_DEVICES: _, ...base } = process.env;
  gpus = createFakeGpus(mkdtempSync(join(built.folder, 'gpus-')), ['NVIDIA L4', 'NVIDIA L4'], null, base);
  machine = createMachine(built.script, { env: gpus.env });
  client = await machine.connect();
});
afterEach(() => machine[Symbol.asyncDispose]());

/** What repeats with other faults what the tests around show. */
const inLab = test.runIf(process.env['TEST_ROUNDS'] === 'all');

/** Says which GPUs it sees, and runs until the file `NAME.go` is there. */
const untilTold = (name: string, more: Partial<JobSpec> = {}) =>
  specOf(`echo "\${CUDA_VISIBLE_DEVICES-all}"; until [ -e ${name}.go ]; do sleep 0.02; done; exit 3`, { gpus: 1, ...more });
const tell = (name: string) => writeFileSync(join(machine.workdir, `${name}.go`), '');
const logOf = (id: string) => (existsSync(machine.jobFile(id, 'log')) ? readFileSync(machine.jobFile(id, 'log'), 'utf8') : '');
const runs = (id: string) => until(() => logOf(id) !== '', `${id} to run`);
const submit = (spec: JobSpec) => client.call('submit', { spec });
const given = (id: string) => gpusOf(jobFolder(machineFolder(machine.root), id))?.map(({ uuid }) => uuid);

test('two jobs of one GPU each run at once, each sees its own; a third and a fourth wait in their order; cancel of one leaves the other', async () => {
  const [a, b, both, last] = [untilTold('a'), untilTold('b'), untilTold('both', { gpus: 2 }), untilTold('last')];
  for (const spec of [a, b, both, last]) await submit(spec);
  await Promise.all([runs(a.id), runs(b.id)]);
  expect([logOf(a.id), logOf(b.id)]).toEqual(['GPU-0\n', 'GPU-1\n']);
  expect([given(a.id), given(b.id)]).toEqual([['GPU-0'], ['GPU-1']]);
  expect(await summaryOf(client, b.id)).toMatchObject({ state: 'running', gpus: 1, givenGpus: [1], waitsFor: null });
  const waits = await until(async () => (await summaryOf(client, both.id)).waitsFor, 'what it waits for');
  expect(waits).toBe(`2 GPUs, of which 0 are free; ${a.id}, ${b.id} run`);
  expect((await summaryOf(client, last.id)).waitsFor).toBe(`${both.id}, which came first`);

  expect((await client.call('cancel', { id: a.id, graceMs: 100 })).end).toMatchObject({ reason: 'cancelled' });
  expect((await summaryOf(client, b.id)).state).toBe('running');
  await until(async () => (await summaryOf(client, both.id)).waitsFor?.includes('of which 1 is free'), 'one to be free');
  expect(logOf(last.id)).toBe(''); // it would fit, and it would starve the one before it
  tell('b');
  await runs(both.id);
  expect(logOf(both.id)).toBe('GPU-0,GPU-1\n');
  const { records } = await followToEnd(client, b.id);
  expect(records.at(-1)).toMatchObject({ state: 'ended', end: { code: 3 } });
  tell('both');
  await runs(last.id);
  tell('last');
  const followed = await followToEnd(client, last.id);
  expect(followed.records.flatMap((record) => (record.type === 'note' ? [record.text] : []))).toEqual([
    'Waiting for jobs that came first.',
    expect.stringMatching(/^Waiting for 1 GPU, of which 0 are free; /),
    'The job has GPU 0 (NVIDIA L4).',
  ]);
});

test('kill -9 of the serving process: it gives nothing twice, and takes up all that run', async () => {
  const [a, b, c] = [untilTold('a'), untilTold('b'), untilTold('c')];
  for (const spec of [a, b, c]) await submit(spec);
  await Promise.all([runs(a.id), runs(b.id)]);
  const [old] = machine.pids('serve');
  kill(old ?? 0);
  await until(() => machine.pids('serve').some((pid) => pid !== old), 'another serving process');
  expect(logOf(c.id)).toBe('');
  tell('b');
  await runs(c.id);
  expect(logOf(c.id)).toBe('GPU-1\n');
  tell('a');
  tell('c');
  for (const { id } of [a, b, c]) {
    await followToEnd(client, id);
    expect((await summaryOf(client, id)).end).toMatchObject({ code: 3 });
  }
});

inLab('a job that is in the queue twice, as two who queue it at the same moment may leave it, runs once', async () => {
  const [first, twice, next] = [untilTold('first', { gpus: 2 }), untilTold('twice'), untilTold('next')];
  await submit(first);
  await submit(twice);
  writeFileSync(join(machine.root, 'queue', '000000000003'), twice.id);
  await submit(next);
  tell('first');
  await Promise.all([runs(twice.id), runs(next.id)]);
  expect([logOf(twice.id), logOf(next.id)]).toEqual(['GPU-0\n', 'GPU-1\n']);
  for (const [spec, name] of [
    [twice, 'twice'],
    [next, 'next'],
  ] as const) {
    tell(name);
    await followToEnd(client, spec.id);
    expect((await summaryOf(client, spec.id)).end).toMatchObject({ code: 3 });
  }
  await until(() => readdirSync(join(machine.root, 'queue')).every((file) => !/^\d+$/.test(file)), 'an empty queue');
});

test('a job without a number has the machine to itself, and is waited for', async () => {
  const [one, whole, other] = [untilTold('one'), untilTold('whole', { gpus: null }), untilTold('other')];
  for (const spec of [one, whole, other]) await submit(spec);
  await runs(one.id);
  tell('one');
  await runs(whole.id);
  expect(logOf(whole.id)).toBe('all\n');
  expect((await summaryOf(client, other.id)).waitsFor).toBe(`${whole.id}, which has the machine to itself`);
  tell('whole');
  await runs(other.id);
  tell('other');
  await followToEnd(client, other.id);
});

test('a setup runs once, and while no other job runs', async () => {
  const setup = 'echo set up >> ../setups; sleep 0.2';
  const [a, b] = [untilTold('a', { setup }), untilTold('b', { setup })];
  const c = untilTold('c', { setup: 'echo other >> ../setups' });
  for (const spec of [a, b, c]) await submit(spec);
  await Promise.all([runs(a.id), runs(b.id)]);
  const setups = () => readFileSync(join(machine.root, 'setups'), 'utf8'); // a setup's own words: what it names in the workdir is part of it;
  expect(setups()).toBe('set up\n');
  tell('a');
  await until(async () => (await summaryOf(client, c.id)).waitsFor === `the machine to itself for its setup; ${b.id} runs`, 'c to wait for b');
  expect(setups()).toBe('set up\n');
  tell('b');
  await runs(c.id);
  expect(setups()).toBe('set up\nother\n');
  tell('c');
  await followToEnd(client, c.id);
});

describe('how many', () => {
  test('more than the machine has, or no number at all, is refused when it is submitted', async () => {
    await expect(submit(untilTold('a', { gpus: 3 }))).rejects.toMatchObject({
      code: 'unfit',
      message: 'The job needs 3 GPUs, and this machine has only 2.',
    });
    gpus.answer([]);
    await expect(submit(untilTold('a'))).rejects.toThrow(/^The job needs 1 GPU, and this machine has none that answers: nvidia-smi/);
    for (const wanted of [0, -1, 1.5, '2'])
      await expect(submit(untilTold('a', { gpus: wanted as number }))).rejects.toMatchObject({ code: 'bad-input', message: expect.stringContaining('gpus') });
    expect((await client.call('jobs', {})).jobs).toEqual([]);
  });

  test("the job's own CUDA_VISIBLE_DEVICES stays, and it is said that GPUs are kept for it all the same", async () => {
    const [own, other] = [untilTold('own', { env: { CUDA_VISIBLE_DEVICES: '7' } }), untilTold('other')];
    for (const spec of [own, other]) await submit(spec);
    await Promise.all([runs(own.id), runs(other.id)]);
    expect([logOf(own.id), logOf(other.id)]).toEqual(['7\n', 'GPU-1\n']);
    tell('own');
    const { records } = await followToEnd(client, own.id);
    expect(records).toContainEqual(
      expect.objectContaining({ type: 'note', level: 'warn', text: expect.stringMatching(/CUDA_VISIBLE_DEVICES=7.*GPU 0 \(NVIDIA L4\) is kept/) }),
    );
    tell('other');
    await followToEnd(client, other.id);
  });

  inLab('a runner that was itself given some GPUs gives no others', async () => {
    await using confined = createMachine(built.script, { env: { ...gpus.env, CUDA_VISIBLE_DEVICES: '1' } });
    const inside = await confined.connect();
    const spec = specOf('echo "$CUDA_VISIBLE_DEVICES"', { gpus: 1 });
    await inside.call('submit', { spec });
    expect((await followToEnd(inside, spec.id)).log.toString()).toBe('GPU-1\n');
    await expect(inside.call('submit', { spec: specOf('true', { gpus: 2 }) })).rejects.toMatchObject({ message: expect.stringContaining('only 1') });
  });
});

test('what leaves processes behind frees its GPU only when they have ended; a shutdown ends all', async () => {
  const leaves = specOf('(trap "" TERM; touch left; sleep 60) & until [ -e left ]; do sleep 0.02; done; exit 0', { gpus: 2, graceMs: 100 });
  const next = untilTold('next', { gpus: 2 });
  for (const spec of [leaves, next]) await submit(spec);
  await runs(next.id);
  expect(processesHolding(`GPU_RUN_JOB=${leaves.id}`)).toEqual([]);
  const beside = untilTold('beside');
  await submit(beside);
  await client.call('shutdown', { graceMs: 0 });
  const { jobs } = await client.call('jobs', {});
  expect(jobs.map(({ state, end }) => [state, end?.reason])).toEqual([
    ['ended', 'exit'],
    ['ended', 'cancelled'],
    ['ended', 'cancelled'],
  ]);
});

test('a job whose order was damaged ends, and keeps no other from its turn', async () => {
  const [first, damaged, last] = [untilTold('first'), untilTold('damaged', { gpus: 2 }), specOf('exit 4', { gpus: 1 })];
  for (const spec of [first, damaged, last]) await submit(spec);
  await runs(first.id);
  writeFileSync(machine.jobFile(damaged.id, 'job.json'), '');
  tell('first');
  expect((await followToEnd(client, last.id)).records.at(-1)).toMatchObject({ state: 'ended', end: { code: 4 } });
  expect(await summaryOf(client, damaged.id)).toMatchObject({ state: 'ended', end: { reason: 'not-started', detail: 'its order on the machine was damaged' } });
});
