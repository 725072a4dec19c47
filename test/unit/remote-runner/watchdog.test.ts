/** The watchdog ends jobs, and the machine where that was ordered, with nobody connected and whatever of ours is killed before. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { commandLines, isSshSession } from '../../../remote-runner/busy.ts';
import type { WatchdogOrder } from '../../../src/protocol/watchdog.ts';
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
  summaryOf,
  type TestMachine,
  until,
} from '../../support/runner.ts';

const built = useBuiltRunner();
let bin: string;
let machine: TestMachine;
let client: RunnerClient;

beforeEach(async () => {
  bin = mkdtempSync(join(built.folder, 'bin-'));
  mkdirSync(bin, { recursive: true });
  // What would switch this computer off is replaced, every way of it.
  for (const name of ['shutdown', 'systemctl', 'poweroff']) program(name, `echo ${name} "$@" >> ${bin}/off`);
  program('sudo', 'shift; exec "$@"');
  program('who', '');
  machine = createMachine(built.script, { env: { PATH: `${bin}:${dirname(process.execPath)}:/usr/bin:/bin`, METADATA_SERVER_DETECTION: 'none' } });
  client = await machine.connect();
});
afterEach(() => machine[Symbol.asyncDispose]());

const program = (name: string, text: string) => writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
const orderOf = (remainingMs: number, more: Partial<WatchdogOrder> = {}): WatchdogOrder => ({
  deadline: Date.now() + remainingMs,
  remainingMs,
  why: 'deadline',
  idleSeconds: null,
  stallSeconds: null,
  onEnd: 'leave',
  deletedByProvider: false,
  ...more,
});
const orderFile = () => join(machine.root, 'armed.json');
const watchers = () => machine.pids('watch');
const switchedOff = () => (existsSync(join(bin, 'off')) ? readFileSync(join(bin, 'off'), 'utf8') : '');
const left = (id: string) => processesHolding(`GPU_RUN_JOB=${id}`);

/** A job that saves its work on SIGTERM; resolves when it runs. */
async function start(): Promise<string> {
  const spec = specOf(['sh', '-c', 'trap "echo saved > saved; exit 0" TERM; echo on > on; while :; do sleep 0.02; done']);
  await client.call('submit', { spec });
  await until(() => existsSync(join(machine.workdir, 'on')), 'the job');
  return spec.id;
}

test('at the deadline, with nobody connected, jobs save their work and are gone; nothing is started any more; the host stays', async () => {
  const id = await start();
  const state = await client.call('arm', orderOf(4_000));
  expect(state).toMatchObject({ powerOff: null, problem: null });
  expect(watchers()).toContain(state.pid);
  await client.close();
  await until(() => left(id).length === 0, 'the end of the job');
  client = await machine.connect();
  await until(async () => (await summaryOf(client, id)).state === 'ended', 'the record');
  expect((await summaryOf(client, id)).end).toMatchObject({ code: 0, reason: 'deadline', detail: "the machine's time is over" });
  expect(existsSync(join(machine.workdir, 'saved'))).toBe(true);
  await expect(client.call('submit', { spec: specOf('true') })).rejects.toMatchObject({ code: 'deadline', hints: [expect.stringContaining('--max-time')] });
  expect(switchedOff()).toBe('');
  await client.call('arm', orderOf(3_600_000)); // extended
  const spec = specOf('true');
  await client.call('submit', { spec });
  await followToEnd(client, spec.id);
  expect((await summaryOf(client, spec.id)).end).toMatchObject({ code: 0, reason: 'exit' });
});

test('serving process and watchdog start each other again, and the machine is switched off in time', async () => {
  const id = await start();
  const { powerOff } = await client.call('arm', orderOf(8_000, { onEnd: 'power-off', why: 'budget' }));
  expect(powerOff).toContain(join(bin, 'shutdown'));
  await client.close();
  const [watcher = 0] = watchers();
  kill(watcher);
  await until(() => watchers().some((pid) => pid !== watcher), 'another watchdog');
  const [server = 0] = machine.pids('serve');
  kill(server);
  await until(() => machine.pids('serve').some((pid) => pid !== server), 'another serving process');
  await until(() => switchedOff() !== '', 'the end of the machine');
  expect(switchedOff()).toBe('shutdown -h now\n');
  expect(left(id)).toEqual([]);
  const { end } = JSON.parse(readFileSync(machine.jobFile(id, 'state.json'), 'utf8')) as { end: unknown };
  expect(end).toMatchObject({ reason: 'budget' });
});

test('jobs end even when the serving process can not be had', async () => {
  const id = await start();
  await client.call('arm', orderOf(8_000));
  await client.close();
  const [server = 0] = machine.pids('serve');
  kill(server, 'SIGSTOP'); // alive, and deaf
  await until(() => left(id).length === 0, 'the end of the job');
  expect(existsSync(join(machine.workdir, 'saved'))).toBe(true); // it has had its signal, and its time
  kill(server, 'SIGCONT');
  client = await machine.connect();
  await until(async () => (await summaryOf(client, id)).state === 'ended', 'the record');
  expect((await summaryOf(client, id)).end).toMatchObject({ reason: 'deadline' });
});

test('what is damaged on the machine keeps it from nothing', async () => {
  const id = await start();
  const { pid } = await client.call('arm', orderOf(7_000, { onEnd: 'power-off' }));
  await client.close();
  writeFileSync(orderFile(), '{"remainingMs":');
  writeFileSync(machine.jobFile(id, 'state.json'), 'null and void');
  writeFileSync(join(machine.root, 'warning.json'), '[]');
  mkdirSync(join(machine.root, 'over.json', 'in-the-way'), { recursive: true }); // as on a full disk, nothing can be written there
  await until(() => switchedOff() !== '', 'the end of the machine');
  expect(watchers()).toEqual([pid]);
  expect(left(id)).toEqual([]);
  expect(existsSync(join(machine.workdir, 'saved'))).toBe(true);
});

test('what is missing on the machine keeps it from nothing, either: its order, and then the whole folder', async () => {
  const id = await start();
  const { pid } = await client.call('arm', orderOf(8_000, { onEnd: 'power-off' }));
  await client.close();
  const order = readFileSync(orderFile());
  await until(() => machine.pids('connect').length === 0, 'the end of the connection');
  rmSync(orderFile());
  await until(() => existsSync(orderFile()), 'the order to be written down again');
  expect(readFileSync(orderFile())).toEqual(order);
  renameSync(machine.root, join(bin, 'elsewhere'));
  await until(() => switchedOff() !== '', 'the end of the machine');
  expect(left(id)).toEqual([]);
  expect(existsSync(join(bin, 'elsewhere', 'workdir', 'saved'))).toBe(true);
  expect(watchers()).toEqual([pid]);
});

test('on a host that stays it goes with the folder', async () => {
  await client.call('arm', orderOf(3_600_000));
  await client.close();
  renameSync(machine.root, join(bin, 'elsewhere'));
  await until(() => watchers().length === 0, 'the end of the watchdog');
});

test('an order that this version can not read is said at once; who holds it goes on until there is another', async () => {
  expect(client.isWatched).toBe(false);
  const { pid } = await client.call('arm', orderOf(3_600_000));
  expect((await machine.connect()).isWatched).toBe(true);
  writeFileSync(orderFile(), JSON.stringify({ ...orderOf(3_600_000), of: 'another version' }));
  const newer = createMachine(buildRunner(built.folder, 'test-2'));
  try {
    const other = await openRunner(pipeTransport(), { ...newer.installed, root: machine.root }, { signal: new AbortController().signal });
    expect(other).toMatchObject({ version: 'test-2', isWatched: false });
    await other.call('hello', {});
    expect(processesHolding(machine.root)).toContain(pid);
    const after = await other.call('arm', orderOf(3_600_000));
    expect(after.pid).not.toBe(pid);
    await until(() => !processesHolding(machine.root).includes(pid), 'the end of the watchdog before it');
    await other.close();
  } finally {
    await newer[Symbol.asyncDispose]();
  }
});

test('an order that comes when the end has begun takes it back', async () => {
  await client.call('arm', orderOf(4_000, { onEnd: 'power-off' }));
  await until(() => existsSync(join(machine.root, 'over.json')), 'the end to begin');
  const over = readFileSync(join(machine.root, 'over.json'));
  await client.call('arm', orderOf(3_600_000, { onEnd: 'power-off' }));
  writeFileSync(join(machine.root, 'over.json'), over); // by a watchdog that had not seen the new order yet
  const spec = specOf('true');
  await client.call('submit', { spec });
  await followToEnd(client, spec.id);
  expect((await summaryOf(client, spec.id)).end).toMatchObject({ code: 0, reason: 'exit' });
  expect(switchedOff()).toBe('');
});

test('where the provider deletes the machine it is switched off only if that does not come', async () => {
  const id = await start();
  await client.call('arm', orderOf(4_000, { onEnd: 'power-off', deletedByProvider: true }));
  const begun = Date.now();
  await client.close();
  await until(() => switchedOff() !== '', 'the end of the machine');
  expect(left(id)).toEqual([]);
  expect(Date.now() - begun).toBeGreaterThan(5_500); // its deadline, and as long as its lead again
});

test('an idle machine switches itself off; while somebody is connected it does not', async ({ skip }) => {
  skip(commandLines()?.some(isSshSession) === true, 'somebody is in by SSH here, which is use of this computer');
  await client.call('arm', orderOf(3_600_000, { onEnd: 'power-off', idleSeconds: 1 }));
  const other = await machine.connect();
  await client.close();
  await other.call('hello', {});
  expect(switchedOff()).toBe('');
  await other.close();
  await until(() => switchedOff() !== '', 'the end of the machine');
});

test('a job that has stalled is warned, told to end, and the host stays and takes others', async () => {
  program('nvidia-smi', 'echo 0');
  const id = await start();
  const behind = specOf('echo my turn');
  await client.call('submit', { spec: behind });
  await client.call('arm', orderOf(3_600_000, { stallSeconds: 4 }));
  const { records } = await followToEnd(client, id);
  expect(records.flatMap((record) => (record.type === 'note' ? [record.text] : [])).join()).toContain('no GPU has worked');
  expect((await summaryOf(client, id)).end).toMatchObject({ reason: 'stalled' });
  const next = await followToEnd(client, behind.id);
  expect((await summaryOf(client, behind.id)).end).toMatchObject({ reason: 'exit' });
  expect(next.records.filter(({ type }) => type === 'note')).toEqual([]); // the warning was not for this one
});

test('after shutdown nothing of it is left', async () => {
  await client.call('arm', orderOf(3_600_000));
  await client.call('shutdown', { graceMs: 0 });
  expect(watchers()).toEqual([]);
});

test('who may not switch the machine off says so; an order that is none is refused', async () => {
  program('sudo', 'exit 1');
  await expect(client.call('arm', { ...orderOf(1_000), remainingMs: null as never })).rejects.toMatchObject({ code: 'bad-input' });
  await expect(client.call('arm', { ...orderOf(1_000), onEnd: 'explode' as never })).rejects.toMatchObject({ code: 'bad-input' });
  const { problem } = await client.call('arm', orderOf(3_600_000, { onEnd: 'power-off' }));
  if (process.getuid?.() === 0) expect(problem).toBeNull();
  else expect(problem).toContain('may not switch it off');
});
