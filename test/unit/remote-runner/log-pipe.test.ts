/** What a job prints goes through a pipe and a small process that copies: whatever happens to these, what was printed is in the log. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { processTable } from '../../../remote-runner/processes.ts';
import type { JobRecord } from '../../../src/protocol/job.ts';
import type { RunnerClient } from '../../../src/runner/client.ts';
import { useBuiltRunner } from '../../support/built-runner.ts';
import { createMachine, followToEnd, kill, processesHolding, runJob, specOf, type TestMachine, until } from '../../support/runner.ts';
import { logBytes } from '../../support/survival.ts';

const built = useBuiltRunner();
let machine: TestMachine;

beforeEach(() => {
  machine = createMachine(built.script);
});
afterEach(() => machine[Symbol.asyncDispose]());

const warnings = (records: readonly JobRecord[]) => records.flatMap((record) => (record.type === 'note' && record.level === 'warn' ? [record.text] : []));

/** The loop and its `cat`, of the job's one log. */
function copier(id: string): { readonly loop: number; readonly cats: readonly number[] } {
  const loop = Number(readFileSync(join(machine.root, 'jobs', id, 'pipes/out.copier'), 'utf8').split('\n')[0]);
  return { loop, cats: processTable().flatMap(({ pid, group }) => (group === loop && isCat(pid) ? [pid] : [])) };
}

/** A job that has printed a line, which is in its log, and prints another once it may. */
async function betweenLines(client: RunnerClient) {
  const spec = specOf('echo one; until [ -e go ]; do sleep 0.02; done; echo two; exit 7');
  await client.call('submit', { spec });
  await until(() => logBytes(machine, spec.id) === 4, 'the first line');
  return spec;
}

test('programs that open /dev/stdout and /dev/stderr anew cut off nothing, in setup and command; nothing is left of pipe and copier', async () => {
  const command =
    'echo one; echo two > /dev/stderr; echo three | tee /dev/stderr; echo four > /dev/stdout; echo five >&2; [ ! -e /proc/self/fd/4 ] && [ ! -t 1 ] && echo six';
  const spec = specOf(command, { setup: 'seq 1000; echo set > /dev/stderr; echo up' });
  const { log, records, summary } = await runJob(await machine.connect(), spec);
  const setup = `${Array.from({ length: 1000 }, (_, n) => `${n + 1}\n`).join('')}set\nup\n`;
  expect(log.toString()).toBe(`${setup}one\ntwo\nthree\nthree\nfour\nfive\nsix\n`);
  expect(records.find((record) => record.type === 'state' && record.state === 'running')).toMatchObject({ logOffset: setup.length });
  expect(records.at(-1)).toMatchObject({ state: 'ended', logOffset: log.length });
  expect(warnings(records)).toEqual([]);
  expect(summary.end).toMatchObject({ code: 0 });
  expect(readdirSync(join(machine.root, 'jobs', spec.id, 'pipes'))).toEqual([]);
  await until(() => processesHolding(join(machine.root, 'copier.sh')).length === 0, 'the end of the copier');
});

test('signals that ask the copier to end change nothing; killed with its loop, it is started again, and that is told', async () => {
  const client = await machine.connect();
  const spec = await betweenLines(client);
  const { loop, cats } = copier(spec.id);
  expect(cats).toHaveLength(1);
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGPIPE'] as const) for (const pid of [loop, ...cats]) kill(pid, name);
  expect(copier(spec.id)).toEqual({ loop, cats });
  for (const pid of [loop, ...cats]) kill(pid);
  await until(() => !processTable().some(({ group, pid }) => group === loop || cats.includes(pid)), 'their end'); // cat might take the line with it
  writeFileSync(join(machine.workdir, 'go'), '');
  const { log, records } = await followToEnd(client, spec.id);
  expect(log.toString()).toBe('one\ntwo\n');
  expect(records.at(-1)).toMatchObject({ end: { code: 7, reason: 'exit' } });
  expect(warnings(records)).toEqual([expect.stringContaining('may be missing')]);
});

test('that something may be missing is told once, also by the serving processes that come later', async () => {
  const client = await machine.connect();
  const spec = await betweenLines(client);
  for (const pid of copier(spec.id).cats) kill(pid);
  const journal = () => readFileSync(machine.jobFile(spec.id, 'journal.jsonl'), 'utf8');
  await until(() => journal().includes('may be missing'), 'the warning');
  const before = machine.pids('serve');
  for (const pid of before) kill(pid);
  await until(() => machine.pids('serve').some((pid) => !before.includes(pid)), 'another one');
  writeFileSync(join(machine.workdir, 'go'), '');
  const { log, records } = await followToEnd(client, spec.id);
  expect(log.toString()).toBe('one\ntwo\n');
  expect(warnings(records)).toEqual([expect.stringContaining('may be missing')]);
});

test('a process that was out of reach and holds the pipe does not hold up the end', async () => {
  const client = await machine.connect();
  const over = join(machine.workdir, 'over');
  const daemon = `until [ -e ${over} ]; do sleep 0.05; done; echo late`;
  const spec = specOf(['sh', '-c', 'echo one; (env -i "PATH=$PATH" setsid sh -c "$0" &); until [ -e away ]; do sleep 0.02; done; seq 20000', daemon]);
  await client.call('submit', { spec });
  // Once its parents are gone nothing tells that it is the job's.
  const daemonPid = await until(() => processTable().find(({ pid }) => argumentsOf(pid).at(-1) === daemon && argumentsOf(pid).length === 3)?.pid, 'it');
  writeFileSync(join(machine.workdir, 'away'), '');
  const { log, records } = await followToEnd(client, spec.id);
  expect(log.toString()).toBe(`one\n${Array.from({ length: 20_000 }, (_, n) => `${n + 1}\n`).join('')}`);
  expect(warnings(records)).toEqual([]);
  expect(existsSync(`/proc/${daemonPid}`)).toBe(true);
  writeFileSync(over, '');
  await until(() => processesHolding(join(machine.root, 'copier.sh')).length === 0, 'the end of the copier with it');
});

test('a setup command that puts another pipe in the place of its own: neither that job nor the next waits for anybody', async () => {
  const client = await machine.connect();
  const spec = specOf('echo two; exit 4');
  const fifo = machine.jobFile(spec.id, 'pipes/out');
  await client.call('submit', { spec: { ...spec, setup: `rm "${fifo}"; mkfifo "${fifo}"; echo one` } });
  const { log, summary } = await runJob(client, specOf('echo three; exit 3'));
  expect(summary.end).toMatchObject({ code: 3 });
  expect(log.toString()).toBe('three\n');
  const first = await followToEnd(client, spec.id);
  expect(first.log.toString()).toBe('one\ntwo\n');
  expect(first.records.at(-1)).toMatchObject({ end: { code: 4 } });
});

/** Under the loop there are others for an instant. */
function isCat(pid: number): boolean {
  return argumentsOf(pid).join(' ') === 'cat';
}

function argumentsOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  } catch {
    return [];
  }
}
