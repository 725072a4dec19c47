/** Logs at their limits: a disk that is too small, a gigabyte that nobody followed, many followers that are killed. Needs root, for a small file system. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Calls } from '../../src/protocol/calls.ts';
import type { RunnerClient } from '../../src/runner/client.ts';
import { createProject, processesWith } from '../e2e/suite/project.ts';
import { buildRunner, createMachine, kill, specOf, until } from '../support/runner.ts';
import { sha256 } from '../support/sha256.ts';

/** `seq 1000000 9999999`: 8 bytes a line, so that each line's place is known. */
const lineBytes = 8;
const wholeBytes = 9_000_000 * lineBytes;

function expectedAt(offset: number, length: number): Buffer {
  const first = Math.floor(offset / lineBytes);
  const last = Math.ceil((offset + length) / lineBytes);
  const lines = Array.from({ length: last - first }, (_, n) => `${1_000_000 + ((first + n) % 9_000_000)}\n`).join('');
  return Buffer.from(lines).subarray(offset - first * lineBytes, offset - first * lineBytes + length);
}

/** Checks each byte as it comes. */
async function followAndCheck(client: RunnerClient, id: string): Promise<{ bytes: number; gaps: number[][]; end: unknown }> {
  const call = client.open('follow', { id, logOffset: 0, record: 0, follow: true });
  const gaps: number[][] = [];
  let bytes = 0;
  let at = 0;
  let end: unknown = null;
  for await (const part of call.parts()) {
    if (part.kind === 'block') {
      const { offset, bytes: piece } = part.block;
      expect(offset).toBe(at);
      if (!expectedAt(offset, piece.length).equals(piece)) throw new Error(`wrong bytes in the block at ${offset}`);
      at += piece.length;
      bytes += piece.length;
      continue;
    }
    const event = part.value as Calls['follow']['event'];
    if (event.type === 'gap') {
      gaps.push([event.from, event.to]);
      at = event.to;
    }
    if (event.type !== 'records') continue;
    for (const record of event.records) if (record.type === 'state' && record.state === 'ended') end = record.end;
  }
  expect(at).toBe(wholeBytes);
  return { bytes, gaps, end };
}

test('a job that prints more than the disk holds is not hurt by it, and followers get every byte that is left', async () => {
  const build = mkdtempSync(join(tmpdir(), 'gpu-run-build-'));
  const machine = createMachine(buildRunner(build));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m,mode=700', 'tmpfs', machine.root]);
  try {
    const client = await machine.connect();
    const print = 'for i in $(seq 0 89); do seq $((1000000+i*100000)) $((1000000+i*100000+99999)) || exit 9; sleep 0.05; done';
    const spec = specOf(print);
    await client.call('submit', { spec });
    const live = await followAndCheck(client, spec.id);
    expect(live.end).toMatchObject({ code: 0, reason: 'exit' });
    const late = await followAndCheck(client, spec.id);
    expect(late.gaps).toHaveLength(1);
    expect(late.bytes).toBeLessThan(13 * 1024 * 1024);
    expect(late.bytes).toBeGreaterThan(4 * 1024 * 1024);
    expect(statSync(machine.jobFile(spec.id, 'log')).size).toBe(wholeBytes);
  } finally {
    execFileSync('umount', ['-l', machine.root]);
    await machine[Symbol.asyncDispose]();
    rmSync(build, { recursive: true, force: true });
  }
});

/** Most memory that a process has had, MiB, as long as it lives. */
function watchMemory(pid: number): { readonly peak: () => number; stop(): void } {
  let peak = 0;
  const timer = setInterval(() => {
    try {
      peak = Math.max(peak, Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024);
    } catch {
      // it has ended
    }
  }, 50);
  return { peak: () => peak, stop: () => clearInterval(timer) };
}

const jobIn = (output: string) => /job-[0-9]{8}-[a-z0-9]+/.exec(output)?.[0] ?? '';

describe('through the command line', () => {
  test('a gigabyte that nobody followed is whole on this computer when the machine is gone, and memory stays small', async () => {
    await using project = createProject({ label: 'local', config: 'provider: local' });
    const rounds = 14;
    const detached = await project.run(['train', '--detach', '--keep', '--', 'sh', '-c', `for i in $(seq ${rounds}); do seq 1000000 9999999; done`]);
    const id = jobIn(detached.text + detached.stderr);
    const ended = async () => (await project.json(['status', '--refresh'])).document.jobs.some((job: { state: string }) => job.state === 'ended');
    await until(ended, 'the end of the job', 120_000, 500);
    const down = project.start(['down', '--yes']);
    const memory = watchMemory(down.child.pid ?? 0);
    const { code, stderr } = await down.done;
    memory.stop();
    expect(code, stderr).toBe(0);
    expect(stderr).not.toContain('lacks');
    const log = join(project.home, 'jobs', id, 'log');
    expect(statSync(log).size).toBe(rounds * wholeBytes);
    const once = createHash('sha256');
    const round = Buffer.concat(Array.from({ length: 9 }, (_, n) => expectedAt((n * wholeBytes) / 9, wholeBytes / 9)));
    for (let n = 0; n < rounds; n++) once.update(round);
    expect(execFileSync('sha256sum', [log], { encoding: 'utf8' }).slice(0, 64)).toBe(once.digest('hex'));
    expect(memory.peak()).toBeLessThan(350);

    const tail = project.start(['logs', '--tail', '2']);
    const tailMemory = watchMemory(tail.child.pid ?? 0);
    expect((await tail.done).text).toBe('9999998\n9999999\n');
    tailMemory.stop();
    expect(tailMemory.peak()).toBeLessThan(200);
    console.log(`peak memory: down ${Math.round(memory.peak())} MiB, logs --tail ${Math.round(tailMemory.peak())} MiB`);
  });

  test('followers in many processes, some of them killed, write one whole copy; no connection outlives its client, also of a silent job', async () => {
    await using project = createProject({ label: 'local', config: 'provider: local' });
    await project.run(['up']);
    const print =
      'for i in $(seq 60); do head -c 200000 /dev/urandom | tee -a all; echo "line $i" | tee -a all; sleep 0.05; done; while [ ! -e go ]; do sleep 0.1; done';
    const detached = await project.run(['train', '--detach', '--keep', '--', 'bash', '-c', print]);
    const id = jobIn(detached.text + detached.stderr);
    const followers = Array.from({ length: 4 }, () => project.start(['logs', id, '--follow']));
    const copy = join(project.home, 'jobs', id, 'log');
    const killed = Array.from({ length: 3 }, () => project.start(['logs', id, '--follow']));
    for (const [index, { child }] of killed.entries()) {
      await until(() => existsSync(copy) && statSync(copy).size > (index + 1) * 2_000_000, 'some of the log', 60_000);
      kill(child.pid ?? 0);
    }
    const connections = () => processesWith(`${project.home}/`).filter(({ args }) => args.includes('runner.mjs connect'));
    await until(() => connections().length === followers.length, 'the end of the killed ones’ connections', 30_000);
    // Everything has been printed, and the job is silent: these are killed, too.
    await until(() => statSync(copy).size >= 60 * 200_000, 'all of the log', 60_000);
    for (const { child } of followers.slice(2)) kill(child.pid ?? 0);
    await until(() => connections().length === 2, 'the end of connections to a silent job', 30_000);
    const all = execFileSync('find', [project.home, '-path', '*workdir/all'], { encoding: 'utf8' }).trim();
    writeFileSync(join(dirname(all), 'go'), '');
    const whole = readFileSync(all);
    for (const { done } of followers.slice(0, 2)) expect(sha256((await done).stdout)).toBe(sha256(whole));
    expect(sha256(readFileSync(copy))).toBe(sha256(whole));
    await project.run(['down', '--yes']);
    expect(sha256((await project.run(['logs', id])).stdout)).toBe(sha256(whole));
  });

  test('stdout and stderr apart, live and after the machine', async () => {
    await using project = createProject({ label: 'local', config: 'provider: local' });
    const run = await project.run(['train', '--split', '--', 'sh', '-c', 'echo out; echo err >&2']);
    expect(run.text).toBe('out\n');
    expect(run.stderr).toContain('\nerr\n');
    expect((await project.run(['logs', '--stderr'])).text).toBe('err\n');
    const { text, stderr } = await project.run(['logs', '--timestamps']);
    expect(`${text}${stderr}`.replace(/^\d{4}-\d{2}-\d{2}T[\d:.]+Z /gm, '')).toBe('out\nerr\n');
  });
});
