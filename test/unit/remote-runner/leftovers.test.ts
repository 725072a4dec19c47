/** What a kill -9 or a power cut leaves half-done is cleared away or finished: no secret stays, no job waits for ever. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createJob } from '../../../remote-runner/job-files.ts';
import { machineFolder } from '../../../remote-runner/machine-folder.ts';
import type { RunnerClient } from '../../../src/runner/client.ts';
import { useBuiltRunner } from '../../support/built-runner.ts';
import { createMachine, followToEnd, kill, runJob, specOf, summaryOf, type TestMachine, until } from '../../support/runner.ts';

const built = useBuiltRunner();
let machine: TestMachine;
let client: RunnerClient;

beforeEach(async () => {
  machine = createMachine(built.script);
  client = await machine.connect();
  await until(() => machine.pids('serve').length === 1, 'the serving process');
});
afterEach(() => machine[Symbol.asyncDispose]());

async function stopServing(): Promise<void> {
  await client.close(); // nobody starts it again
  for (const pid of machine.pids('serve')) kill(pid);
  await until(() => machine.pids('serve').length === 0, 'the end of the serving process');
}

describe('a submit that was killed', () => {
  test('half-way through the files: they go, secrets and all; those of a submit that lives stay', async () => {
    await stopServing();
    const dead = spawnSync('true').pid;
    const { jobs, queue } = machineFolder(machine.root);
    for (const pid of [dead, process.pid]) {
      mkdirSync(join(jobs, `.job-1.${pid}.123456`));
      writeFileSync(join(jobs, `.job-1.${pid}.123456`, 'secrets.json'), '{"TOKEN":"swordfish"}');
      writeFileSync(join(queue, `.job-1.${pid}`), 'job-1');
      writeFileSync(join(queue, `..job-1.${pid}.${pid}.7`), 'job-1');
    }
    const hidden = () => [jobs, queue].flatMap((folder) => readdirSync(folder).filter((name) => name.startsWith('.'))).sort();
    expect(hidden()).toHaveLength(6);
    client = await machine.connect();
    await until(() => hidden().length <= 3, 'the end of the leftovers');
    expect(hidden()).toEqual([`..job-1.${process.pid}.${process.pid}.7`, `.job-1.${process.pid}`, `.job-1.${process.pid}.123456`]);
  });

  test('before the job was in the queue: the next serving process puts it there', async () => {
    await stopServing();
    const spec = specOf('echo ran; exit 6');
    createJob(machineFolder(machine.root), spec);
    client = await machine.connect();
    expect((await followToEnd(client, spec.id)).log.toString()).toBe('ran\n');
    expect((await summaryOf(client, spec.id)).end).toMatchObject({ code: 6 });
  });

  test('before the job was in the queue: it can be cancelled at once', async () => {
    const spec = specOf('true', { secrets: { TOKEN: 'swordfish' } });
    createJob(machineFolder(machine.root), spec);
    expect(await client.call('cancel', { id: spec.id, graceMs: 0 })).toMatchObject({ state: 'ended', end: { reason: 'cancelled' } });
    expect(existsSync(machine.jobFile(spec.id, 'secrets.json'))).toBe(false);
  });
});

describe('an exit status that a power cut has damaged', () => {
  test.each([
    ['nothing', ''],
    ['zeros', '\0\0\0\0'],
    ['half of it', '{"code":'],
    ['something else', 'null'],
    ['no number', '{"code":"0"}'],
  ])('%s: the job is lost, and the next one runs', async (_, content) => {
    const spec = specOf('echo begun; sleep 60');
    await client.call('submit', { spec });
    await until(() => existsSync(machine.jobFile(spec.id, 'pid')), 'the job');
    await stopServing();
    kill(Number(readFileSync(machine.jobFile(spec.id, 'pid'), 'utf8').split('\n')[0]));
    writeFileSync(machine.jobFile(spec.id, 'exit.json'), content);
    client = await machine.connect();
    expect((await followToEnd(client, spec.id)).records.at(-1)).toMatchObject({ state: 'ended', end: { code: null, reason: 'lost' } });
    expect((await runJob(client, specOf('exit 3'))).summary.end).toMatchObject({ code: 3 });
  });
});

test('a setup that was taken over is remembered for the files it began with, not for what they have become', async () => {
  const setup = 'cat requirements.txt; echo on > on; until [ -e go ]; do sleep 0.02; done';
  writeFileSync(join(machine.workdir, 'requirements.txt'), 'torch\n');
  const spec = specOf('true', { setup });
  await client.call('submit', { spec });
  await until(() => existsSync(join(machine.workdir, 'on')), 'the setup');
  await stopServing();
  writeFileSync(join(machine.workdir, 'requirements.txt'), 'torch\nnumpy\n');
  client = await machine.connect();
  await until(() => machine.pids('serve').length === 1, 'the serving process');
  writeFileSync(join(machine.workdir, 'go'), '');
  expect((await followToEnd(client, spec.id)).log.toString()).toBe('torch\n');
  expect((await runJob(client, specOf('true', { setup }))).log.toString()).toBe('torch\nnumpy\n');
  expect((await runJob(client, specOf('true', { setup }))).log.toString()).toBe('');
});
