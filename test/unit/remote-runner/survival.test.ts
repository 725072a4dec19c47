/** Whatever is killed, whenever: no byte of the log, no record and no exit code is lost. `npm run test:lab` kills more often. */
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openRunner, type RunnerClient } from '../../../src/runner/client.ts';
import { useBuiltRunner } from '../../support/built-runner.ts';
import {
  buildRunner,
  createMachine,
  followToEnd,
  kill,
  pipeTransport,
  processesHolding,
  specOf,
  statesOf,
  summaryOf,
  type TestMachine,
  until,
} from '../../support/runner.ts';
import { cutWhilePrinting, killAmongShortJobs, killWhilePrinting, logBytes } from '../../support/survival.ts';

const built = useBuiltRunner();
let machine: TestMachine;

beforeEach(() => {
  machine = createMachine(built.script);
});
afterEach(() => machine[Symbol.asyncDispose]());

describe('kill -9 of the serving process', () => {
  test('while the job prints 40,000 lines: followers of all kinds see every byte, and the exit code is right', () => killWhilePrinting(machine, 40_000));

  test('again and again, at any moment of a row of short jobs: each runs once and ends right', { timeout: 120_000 }, () =>
    killAmongShortJobs(machine, { jobs: 3, kills: 5, enough: 3 }),
  );

  test('while nothing else is there: the job goes on, and the next connection finds how it ended', async () => {
    const client = await machine.connect();
    const spec = specOf('echo begun; until [ -e go ]; do sleep 0.02; done; echo done; exit 9');
    await client.call('submit', { spec });
    await until(() => logBytes(machine, spec.id) > 0, 'the job');
    await client.close();
    for (const pid of machine.pids('serve')) kill(pid);
    await until(() => machine.pids('serve').length === 0, 'the end of the serving process');
    writeFileSync(join(machine.workdir, 'go'), '');
    await until(() => existsSync(machine.jobFile(spec.id, 'exit.json')), 'the end of the job');
    const { log } = await followToEnd(await machine.connect(), spec.id);
    expect(log.toString()).toBe('begun\ndone\n');
    expect((await summaryOf(await machine.connect(), spec.id)).end).toMatchObject({ code: 9, reason: 'exit' });
  });
});

describe('kill -9 of the connection', () => {
  test('6 times at random points: every byte once, every record once', () => cutWhilePrinting(machine, { lines: 40_000, cuts: 6 }));

  test('a connection ends with its client, also when no output comes', async () => {
    const client = await machine.connect();
    const spec = specOf('sleep 60');
    await client.call('submit', { spec });
    const following = followToEnd(client, spec.id);
    following.catch(() => {});
    await until(() => machine.pids('connect').length === 1, 'the connection');
    await client.close();
    await expect(following).rejects.toMatchObject({ code: 'connection' });
    await until(() => machine.pids('connect').length === 0, 'the end of the connection');
    expect((await summaryOf(await machine.connect(), spec.id)).state).toBe('running');
  });
});

describe('kill -9 of the shim', () => {
  async function running(client: RunnerClient) {
    const spec = specOf('echo begun; sleep 60');
    await client.call('submit', { spec });
    await until(() => logBytes(machine, spec.id) > 0, 'the job');
    return { spec, shim: Number(readFileSync(machine.jobFile(spec.id, 'pid'), 'utf8').split('\n')[0]) };
  }

  test('that was seen ends the job with 137, and the command with it', async () => {
    const client = await machine.connect();
    const { spec, shim } = await running(client);
    kill(shim);
    await followToEnd(client, spec.id);
    expect((await summaryOf(client, spec.id)).end).toMatchObject({ code: 137, signal: 'SIGKILL', reason: 'signal' });
    expect(processesHolding(`GPU_RUN_JOB=${spec.id}`)).toEqual([]);
  });

  test('that nobody saw: the job is lost, and nothing of it is left', async () => {
    const client = await machine.connect();
    const { spec, shim } = await running(client);
    await client.close();
    for (const pid of machine.pids('serve')) kill(pid);
    kill(shim);
    const again = await machine.connect();
    const { records } = await followToEnd(again, spec.id);
    expect(records.at(-1)).toMatchObject({ state: 'ended', end: { code: null, reason: 'lost', detail: expect.stringContaining('killed') } });
    expect(processesHolding(`GPU_RUN_JOB=${spec.id}`)).toEqual([]);
  });

  test('a reboot is told from a killed shim, and the next connection starts what waited in the queue', async () => {
    const client = await machine.connect();
    const { spec, shim } = await running(client);
    const waiting = specOf('printf second');
    await client.call('submit', { spec: waiting });
    await client.close();
    for (const pid of machine.pids('serve')) kill(pid);
    kill(shim);
    const [pid, started] = readFileSync(machine.jobFile(spec.id, 'pid'), 'utf8').split('\n');
    writeFileSync(machine.jobFile(spec.id, 'pid'), `${pid}\n${started}\n11111111-2222-3333-4444-555555555555\n`);
    const again = await machine.connect();
    const { log, records } = await followToEnd(again, spec.id);
    expect(log.toString()).toBe('begun\n');
    expect(records.at(-1)).toMatchObject({ end: { reason: 'lost', detail: expect.stringContaining('started anew') } });
    const second = await followToEnd(again, waiting.id);
    expect(second.log.toString()).toBe('second');
    expect(second.records.at(-1)).toMatchObject({ end: { code: 0, reason: 'exit' } });
  });
});

describe('after a crash', () => {
  test('half a line at the end of the journal is cut off, and the numbers go on', async () => {
    const client = await machine.connect();
    const spec = specOf('echo begun; until [ -e go ]; do sleep 0.02; done');
    await client.call('submit', { spec });
    await until(() => logBytes(machine, spec.id) > 0, 'the job');
    await client.close();
    for (const pid of machine.pids('serve')) kill(pid);
    await until(() => machine.pids('serve').length === 0, 'the end of the serving process');
    appendFileSync(machine.jobFile(spec.id, 'journal.jsonl'), '{"n":3,"t":17000');
    const again = await machine.connect();
    await until(() => machine.pids('serve').length === 1, 'the serving process');
    writeFileSync(join(machine.workdir, 'go'), '');
    const { records } = await followToEnd(again, spec.id);
    expect(records.map(({ n }) => n)).toEqual(records.map((_record, index) => index + 1));
    expect(statesOf(records)).toEqual(['queued', 'running', 'ended']);
    expect(readFileSync(machine.jobFile(spec.id, 'journal.jsonl'), 'utf8')).not.toContain('17000');
  });

  test('one serving process only, however many want to be it', async () => {
    const clients = await Promise.all(Array.from({ length: 5 }, () => machine.connect()));
    await until(() => machine.pids('serve').length === 1, 'one serving process');
    for (const pid of machine.pids('serve')) kill(pid);
    await until(() => machine.pids('serve').length === 1, 'one serving process again');
    const order = Array.from({ length: 5 }, (_, n) => specOf(`echo ${n} >> ran`));
    await Promise.all(order.map((spec, n) => clients[n]?.call('submit', { spec })));
    for (const spec of order) await followToEnd(clients[0] as RunnerClient, spec.id);
    expect(readFileSync(join(machine.workdir, 'ran'), 'utf8').trim().split('\n').sort()).toEqual(['0', '1', '2', '3', '4']);
    expect(machine.pids('serve')).toHaveLength(1);
  });

  test('a newer version takes over from a serving process of an older one, and the job does not notice', async () => {
    const client = await machine.connect();
    const spec = specOf('echo begun; until [ -e go ]; do sleep 0.02; done; exit 5');
    await client.call('submit', { spec });
    await until(() => logBytes(machine, spec.id) > 0, 'the job');
    const [old] = machine.pids('serve');
    const newer = createMachine(buildRunner(built.folder, 'test-2'));
    try {
      const { argv } = newer.installed;
      const other = await openRunner(pipeTransport(), { argv, root: machine.root }, { signal: new AbortController().signal });
      expect(other.version).toBe('test-2');
      await until(() => !processesHolding(machine.root).includes(old ?? 0), 'the end of the old serving process');
      writeFileSync(join(machine.workdir, 'go'), '');
      await followToEnd(other, spec.id);
      expect((await summaryOf(other, spec.id)).end).toMatchObject({ code: 5, reason: 'exit' });
      await other.close();
    } finally {
      await newer[Symbol.asyncDispose]();
    }
  });
});
