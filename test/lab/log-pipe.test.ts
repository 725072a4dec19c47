/** What a job prints goes through a pipe and a small process that copies. Here these are killed at random, again and again. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { processTable } from '../../remote-runner/processes.ts';
import { useBuiltRunner } from '../support/built-runner.ts';
import { createMachine, followToEnd, kill, runJob, specOf, type TestMachine, until } from '../support/runner.ts';
import { logBytes } from '../support/survival.ts';

const built = useBuiltRunner();
let machine: TestMachine;

beforeEach(() => {
  machine = createMachine(built.script);
});
afterEach(() => machine[Symbol.asyncDispose]());

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const linesOf = (count: number) => Array.from({ length: count }, (_, n) => `line ${n + 1}\n`).join('');
const print = (count: number) => `i=0; while [ $i -lt ${count} ]; do i=$((i+1)); echo "line $i"; done; exit 23`;

/** Those that live, of the job's one log. */
function copier(id: string): { readonly loop: readonly number[]; readonly cat: readonly number[] } {
  const note = join(machine.root, 'jobs', id, 'pipes/out.copier');
  const leader = existsSync(note) ? Number(readFileSync(note, 'utf8').split('\n')[0]) : 0;
  const group = processTable().flatMap((row) => (row.group === leader ? [row.pid] : []));
  return { loop: group.filter((pid) => pid === leader), cat: group.filter((pid) => argumentsOf(pid) === 'cat\0') };
}

function argumentsOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return ''; // it has just ended
  }
}

/** Calls `strike` up to `pauseMs` apart until the job has ended. */
async function underFire(command: string, pauseMs: number, strike: (id: string) => void) {
  const client = await machine.connect();
  const spec = specOf(command);
  await client.call('submit', { spec });
  let firing = true;
  const fire = (async () => {
    for (; firing; await wait(Math.random() * pauseMs)) strike(spec.id);
  })();
  const { log, records } = await followToEnd(client, spec.id).finally(() => {
    firing = false;
  });
  await fire;
  expect(readFileSync(machine.jobFile(spec.id, 'log')).equals(log)).toBe(true);
  return { log, records };
}

test('the loop and the serving process killed at any moment of a job that prints 200,000 lines: every byte, once, in order', async () => {
  let strikes = 0;
  const { log, records } = await underFire(print(200_000), 300, (id) => {
    strikes += 1;
    for (const pid of strikes % 10 === 1 ? machine.pids('serve') : copier(id).loop) kill(pid);
  });
  expect(log.toString() === linesOf(200_000)).toBe(true);
  expect(records.at(-1)).toMatchObject({ state: 'ended', end: { code: 23, reason: 'exit' } });
});

test('cat killed at any moment: the job goes on, and what is lost each time is what cat had in hand', async () => {
  let kills = 0;
  const { log, records } = await underFire(print(400_000), 400, (id) => {
    for (const pid of copier(id).cat) {
      kill(pid);
      kills += 1;
    }
  });
  expect(kills).toBeGreaterThan(0);
  expect(records.at(-1)).toMatchObject({ state: 'ended', end: { code: 23, reason: 'exit' } });
  const whole = linesOf(400_000);
  expect(whole.length - log.length).toBeLessThanOrEqual(kills * 128 * 1024);
  // What is there is in order: pieces of the whole, one behind the other.
  const text = log.toString();
  let from = 0;
  for (let at = 0; at < text.length; ) {
    let length = 0;
    while (at + length < text.length && text[at + length] === whole[from + length]) length += 1;
    at += length;
    from += length;
    if (at === text.length) break;
    const next = whole.indexOf(text.slice(at, at + 40), from);
    expect(next).toBeGreaterThan(from);
    from = next;
  }
});

test('killed together with whoever watches the job: the job waits, and what it printed meanwhile comes', async () => {
  const client = await machine.connect();
  const awaits = (file: string) => `until [ -e ${file} ]; do sleep 0.02; done`;
  const spec = specOf(`echo one; ${awaits('go')}; echo two; : > printed; ${awaits('end')}; echo three; exit 7`);
  await client.call('submit', { spec });
  await until(() => logBytes(machine, spec.id) === 4, 'the first line');
  await client.close();
  const { loop, cat } = copier(spec.id);
  for (const pid of [...machine.pids('serve'), ...loop, ...cat]) kill(pid);
  writeFileSync(join(machine.workdir, 'go'), '');
  await until(() => existsSync(join(machine.workdir, 'printed')), 'the second line');
  const again = await machine.connect();
  await until(() => logBytes(machine, spec.id) === 8, 'it in the log');
  writeFileSync(join(machine.workdir, 'end'), '');
  const { log, records } = await followToEnd(again, spec.id);
  expect(log.toString()).toBe('one\ntwo\nthree\n');
  expect(records.at(-1)).toMatchObject({ end: { code: 7, reason: 'exit' } });
});

test('one that hangs in a disk, here stopped, until the job has ended: what came too late is told', async () => {
  const client = await machine.connect();
  const spec = specOf('echo one; until [ -e go ]; do sleep 0.02; done; echo two; exit 7');
  await client.call('submit', { spec });
  await until(() => logBytes(machine, spec.id) === 4, 'the first line');
  const { loop, cat } = copier(spec.id);
  for (const pid of [...loop, ...cat]) kill(pid, 'SIGSTOP');
  writeFileSync(join(machine.workdir, 'go'), '');
  const { log, records } = await followToEnd(client, spec.id).finally(() => {
    for (const pid of [...loop, ...cat]) kill(pid, 'SIGCONT');
  });
  expect(log.toString()).toBe('one\n');
  expect(records.at(-1)).toMatchObject({ state: 'ended', end: { code: 7 } });
  expect(records).toContainEqual(expect.objectContaining({ type: 'note', text: expect.stringContaining('may be missing') }));
});

test('a program that does not wait for its last words, half a MB, before it exits', async () => {
  const words = "setTimeout(() => { process.stdout.write('x'.repeat(500_000)); process.exit(3); }, 2_000)"; // by then the pipe is a large one
  const { log, summary } = await runJob(await machine.connect(), specOf([process.execPath, '-e', words]));
  expect(summary.end).toMatchObject({ code: 3 });
  expect(log.length).toBe(500_000);
});

test('1 GB, as fast as it comes', async () => {
  const { log, summary } = await runJob(
    await machine.connect(),
    specOf('yes 0123456789012345678901234567890123456789 | head -c 1000000000', { logLimit: 2e9 }),
  );
  expect(summary.end).toMatchObject({ code: 0 });
  expect(log.length).toBe(1_000_000_000);
});

test('each stream has a pipe, where they are kept apart', async () => {
  const client = await machine.connect();
  const spec = specOf('echo out > /dev/stdout; echo err > /dev/stderr; echo out; echo err >&2', { splitLog: true });
  await runJob(client, spec);
  expect(readFileSync(machine.jobFile(spec.id, 'log'), 'utf8')).toBe('out\nout\n');
  expect(readFileSync(machine.jobFile(spec.id, 'err'), 'utf8')).toBe('err\nerr\n');
});
