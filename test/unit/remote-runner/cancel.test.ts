/** After a cancel, and after a job's normal end, no process of it is left, wherever it went. Nobody else's process is touched. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { JobSpec } from '../../../src/protocol/job.ts';
import type { RunnerClient } from '../../../src/runner/client.ts';
import { useBuiltRunner } from '../../support/built-runner.ts';
import { createMachine, followToEnd, kill, processesHolding, runJob, specOf, statesOf, summaryOf, type TestMachine, until } from '../../support/runner.ts';

const built = useBuiltRunner();
let machine: TestMachine;
let client: RunnerClient;

beforeEach(async () => {
  machine = createMachine(built.script);
  client = await machine.connect();
});
afterEach(() => machine[Symbol.asyncDispose]());

/** A process that left the job's session and group, was adopted by init, and ignores SIGTERM. */
const escapee = `setsid sh -c 'trap "" TERM HUP INT; (while :; do sleep 0.05; done) & echo $$ $! > escaped; wait; while :; do sleep 0.05; done' </dev/null >/dev/null 2>&1 &`;

async function start(spec: JobSpec, file: string): Promise<void> {
  await client.call('submit', { spec });
  await until(() => existsSync(join(machine.workdir, file)) && readFileSync(join(machine.workdir, file), 'utf8').endsWith('\n'), file);
}

const left = (spec: JobSpec) => processesHolding(`GPU_RUN_JOB=${spec.id}`);

describe('cancel', () => {
  test('gives the command time to save its work, and tells how it ended', async () => {
    const spec = specOf(['sh', '-c', 'trap "echo saved; exit 143" TERM; echo on > on; while :; do sleep 0.02; done'], { graceMs: 20_000 });
    await start(spec, 'on');
    const summary = await client.call('cancel', { id: spec.id, graceMs: null });
    expect(summary).toMatchObject({ state: 'ended', end: { code: 143, signal: 'SIGTERM', reason: 'cancelled' } });
    const { log, records } = await followToEnd(client, spec.id);
    expect(log.toString()).toMatch(/saved\n$/);
    expect(statesOf(records)).toEqual(['queued', 'running', 'cancelling', 'ended']);
    expect(left(spec)).toEqual([]);
  });

  test('kills what ignores SIGTERM, in the job and out of it', async () => {
    const spec = specOf(`trap "" TERM; ${escapee} until [ -s escaped ]; do sleep 0.02; done; echo on > on; while :; do sleep 0.05; done`);
    await start(spec, 'on');
    expect(left(spec).length).toBeGreaterThan(3);
    const summary = await client.call('cancel', { id: spec.id, graceMs: 100 });
    expect(summary.end).toMatchObject({ code: 137, signal: 'SIGKILL', reason: 'cancelled' });
    expect(left(spec)).toEqual([]);
  });

  test('again with less patience ends the waiting', async () => {
    const spec = specOf('trap "" TERM; echo on > on; while :; do sleep 0.05; done');
    await start(spec, 'on');
    const patient = client.call('cancel', { id: spec.id, graceMs: 3_600_000 });
    await until(async () => (await summaryOf(client, spec.id)).state === 'cancelling', 'the first cancel');
    expect((await client.call('cancel', { id: spec.id, graceMs: 0 })).end).toMatchObject({ reason: 'cancelled' });
    expect((await patient).state).toBe('ended');
  });

  test('survives kill -9 of the serving process in the middle', async () => {
    const spec = specOf(`trap "" TERM; ${escapee} until [ -s escaped ]; do sleep 0.02; done; echo on > on; while :; do sleep 0.05; done`);
    await start(spec, 'on');
    const cancelling = client.call('cancel', { id: spec.id, graceMs: 500 });
    await until(async () => (await summaryOf(client, spec.id)).state === 'cancelling', 'the cancel');
    for (const pid of machine.pids('serve')) kill(pid);
    expect((await cancelling).end).toMatchObject({ code: 137, reason: 'cancelled' });
    expect(left(spec)).toEqual([]);
    const { records } = await followToEnd(client, spec.id);
    expect(statesOf(records)).toEqual(['queued', 'running', 'cancelling', 'ended']);
  });

  test('during the setup', async () => {
    const spec = specOf('echo never > never', { setup: 'echo on > on; sleep 60' });
    await start(spec, 'on');
    expect((await client.call('cancel', { id: spec.id, graceMs: 1_000 })).end).toMatchObject({ reason: 'cancelled' });
    expect(existsSync(join(machine.workdir, 'never'))).toBe(false);
    expect(left(spec)).toEqual([]);
    expect(existsSync(join(machine.root, 'setup.stamp'))).toBe(false); // what was cut off half-way is no setup
  });

  test('of a job that has ended changes nothing', async () => {
    const spec = specOf('exit 4');
    await runJob(client, spec);
    expect((await client.call('cancel', { id: spec.id, graceMs: null })).end).toMatchObject({ code: 4, reason: 'exit' });
  });

  test('leaves other processes alone, those in the workdir and those of other jobs too', async () => {
    const bystander = spawn('sh', ['-c', 'exec sleep 60'], {
      cwd: machine.workdir,
      detached: true,
      stdio: 'ignore',
      env: { PATH: process.env['PATH'], GPU_RUN_JOB: 'job-of-somebody-else' },
    });
    try {
      const spec = specOf('echo on > on; sleep 60');
      await start(spec, 'on');
      const next = specOf('echo next > next; sleep 60');
      await client.call('submit', { spec: next });
      await client.call('cancel', { id: spec.id, graceMs: 0 });
      await until(() => existsSync(join(machine.workdir, 'next')), 'the next job');
      expect(bystander.exitCode ?? bystander.signalCode).toBeNull();
      expect((await summaryOf(client, next.id)).state).toBe('running');
    } finally {
      kill(bystander.pid ?? 0);
    }
  });
});

describe('what the command leaves behind', () => {
  test('is ended after its normal end, with a note, and the exit code stays', async () => {
    const spec = specOf(`${escapee} until [ -s escaped ]; do sleep 0.02; done; exit 6`, { graceMs: 200 });
    const { summary, records } = await runJob(client, spec);
    expect(summary.end).toMatchObject({ code: 6, reason: 'exit' });
    expect(records.filter(({ type }) => type === 'note')).toMatchObject([{ level: 'warn', text: expect.stringMatching(/left .* running/) }]);
    expect(left(spec)).toEqual([]);
  });

  test('a child that ends by itself a moment later is not worth a note', async () => {
    const spec = specOf('(sleep 0.1; echo late) & exit 0');
    const { log, records } = await runJob(client, spec);
    expect(log.toString()).toBe('late\n');
    expect(records.some(({ type }) => type === 'note')).toBe(false);
  });

  test('by the setup is there for the command, and ended with the job', async () => {
    const spec = specOf('kill -0 "$(cat server)" && echo "server is on"', { setup: 'sleep 60 & echo $! > server', graceMs: 200 });
    const { log, summary } = await runJob(client, spec);
    expect(log.toString()).toBe('server is on\n');
    expect(summary.end).toMatchObject({ code: 0 });
    expect(left(spec)).toEqual([]);
  });
});

describe('shutdown', () => {
  test('ends all jobs and the serving process, for good', async () => {
    const spec = specOf(`trap "" TERM; ${escapee} until [ -s escaped ]; do sleep 0.02; done; echo on > on; while :; do sleep 0.05; done`);
    const waiting = specOf('echo never > never');
    await start(spec, 'on');
    await client.call('submit', { spec: waiting });
    const watching = await machine.connect();
    const following = followToEnd(watching, spec.id);
    expect(await client.call('shutdown', { graceMs: 100 })).toEqual({});
    expect(left(spec)).toEqual([]);
    expect(machine.pids('serve')).toEqual([]);
    expect((await following).records.at(-1)).toMatchObject({ state: 'ended', end: { reason: 'cancelled' } });
    expect(await summaryOf(client, waiting.id)).toMatchObject({ state: 'ended', end: { reason: 'cancelled', code: null } });
    await expect(client.call('submit', { spec: specOf('true') })).rejects.toMatchObject({ code: 'conflict' });
    expect(await client.call('shutdown', { graceMs: 100 })).toEqual({});
    expect(existsSync(join(machine.workdir, 'never'))).toBe(false);
    expect(machine.pids('serve')).toEqual([]);
  });

  test('when the serving process was killed before', async () => {
    const spec = specOf('echo on > on; sleep 60');
    await start(spec, 'on');
    for (const pid of machine.pids('serve')) kill(pid);
    await client.call('shutdown', { graceMs: 0 });
    expect(left(spec)).toEqual([]);
    expect(machine.pids('serve')).toEqual([]);
  });

  test('a machine whose folder was removed leaves no process', async () => {
    writeFileSync(join(machine.workdir, 'x'), '');
    rmSync(machine.root, { recursive: true, force: true, maxRetries: 5 });
    await until(() => machine.pids('serve').length === 0, 'the end of the serving process');
  });
});
