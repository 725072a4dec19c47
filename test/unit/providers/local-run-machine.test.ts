/** A machine's life by a clock that is turned by hand; the SSH server, its connections and its jobs are real. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import { newMachineId } from '../../../src/core/run-id.ts';
import { newHostKey } from '../../../src/providers/local/host-key.ts';
import { readMachineFile, writeOnce } from '../../../src/providers/local/machine-folder.ts';
import { endProcesses, findProcesses } from '../../../src/providers/local/process-tree.ts';
import { runMachine } from '../../../src/providers/local/run-machine.ts';
import { createFakeClock } from '../../../src/testing/index.ts';
import { connectTransport } from '../../../src/transport/connect.ts';
import { generateKeyPair } from '../../../src/transport/host-keys.ts';
import type { Transport } from '../../../src/transport/transport.ts';

const key = generateKeyPair();
const minute = 60_000;

let root: string;
let id: string;
let transport: Transport | null;
let running: Promise<void> | null;
let stop: AbortController;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'gpu-run-'));
  id = newMachineId('cats');
  transport = null;
  running = null;
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await transport?.close();
  await endProcesses(id, { clock: systemClock, graceMs: 0 });
  await clockUntilEnded();
  rmSync(root, { recursive: true, force: true });
});

const clock = createFakeClock();

/** Turns the clock until the machine has ended. */
async function clockUntilEnded(): Promise<void> {
  let ended = running === null;
  void running?.finally(() => {
    ended = true;
  });
  while (!ended) await clock.advance(1_000);
}

async function start(limits: { idleSeconds: number | null; deadlineMs?: number }, folder = join(root, id)): Promise<string> {
  const hostKey = newHostKey();
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeOnce(folder, 'machine.json', {
    id,
    name: 'cats',
    labels: {},
    requestId: 'r',
    createdAt: clock.now(),
    deadline: clock.now() + (limits.deadlineMs ?? 240 * minute),
    idleSeconds: limits.idleSeconds,
    sshPublicKey: key.publicKey,
    hostPrivateKey: hostKey.privateKey,
    hostPublicKey: hostKey.publicKey,
    user: userInfo().username,
    env: { PATH: process.env['PATH'] ?? '' },
  });
  running = runMachine(folder, clock, stop.signal);
  while (readMachineFile(folder, 'address.json') === null) await systemClock.sleep(5);
  writeFileSync(join(root, 'key'), key.privateKey, { mode: 0o600 });
  const { port } = readMachineFile(folder, 'address.json') ?? { port: 0 };
  const access = { kind: 'own', host: '127.0.0.1', port, user: userInfo().username, hostKeys: [hostKey.publicKey] } as const;
  transport = connectTransport({ access, identityFile: join(root, 'key'), scratch: root });
  return folder;
}

async function run(script: string): Promise<string> {
  const command = transport?.exec(['sh', '-c', script]);
  if (command === undefined) throw new Error('not started');
  command.stdin.end();
  command.stderr.resume();
  return text(command.stdout);
}

/** As the server counts: the client is gone before it notices. */
async function disconnect(): Promise<void> {
  await transport?.close();
  await systemClock.sleep(50);
}

const whyEnded = (folder: string) => readMachineFile(folder, 'ended.json')?.why;

describe('runMachine', () => {
  test('a machine to which nobody comes ends at its idle limit', async () => {
    const folder = await start({ idleSeconds: 900 });
    await clock.advance(14 * minute);
    expect(readMachineFile(folder, 'ending.json')).toBeNull();
    await clockUntilEnded();
    expect(whyEnded(folder)).toBe('it was idle for 900 seconds');
  });

  test('a connection keeps it alive, and so does a job without one', async () => {
    const folder = await start({ idleSeconds: 900 });
    await run('true');
    await clock.advance(30 * minute);
    expect(readMachineFile(folder, 'ending.json')).toBeNull();

    await run('GPU_RUN_JOB=job-1 setsid sh -c "sleep 1000" >/dev/null 2>&1 </dev/null &');
    await disconnect();
    await clock.advance(30 * minute);
    expect(readMachineFile(folder, 'ending.json')).toBeNull();
    expect(findProcesses(id).some(({ inJob }) => inJob)).toBe(true);

    for (const { pid, inJob } of findProcesses(id)) if (inJob) process.kill(pid, 'SIGKILL');
    await clock.advance(14 * minute);
    expect(readMachineFile(folder, 'ending.json')).toBeNull();
    await clockUntilEnded();
    expect(whyEnded(folder)).toBe('it was idle for 900 seconds');
  });

  test('what is no job does not keep it alive, and ends with it', async () => {
    const folder = await start({ idleSeconds: 900 });
    await run('setsid sh -c "sleep 1000" >/dev/null 2>&1 </dev/null &');
    await disconnect();
    expect(findProcesses(id).length).toBeGreaterThan(0);
    await clockUntilEnded();
    expect(whyEnded(folder)).toBe('it was idle for 900 seconds');
    expect(findProcesses(id)).toEqual([]);
  });

  test('ends once awake when the computer slept over the deadline', async () => {
    const folder = await start({ idleSeconds: null });
    await clock.jump(24 * 60 * minute);
    await clockUntilEnded();
    expect(whyEnded(folder)).toBe('it reached its deadline');
  });

  test('ends everything at its deadline when nothing can be noted, as on a full disk', async () => {
    const folder = await start({ idleSeconds: null, deadlineMs: minute });
    await run('setsid sh -c "sleep 1000" >/dev/null 2>&1 </dev/null &');
    // A file can't take a folder's place: so both notes fail.
    for (const name of ['ending.json', 'ended.json']) mkdirSync(join(folder, name));
    await clock.advance(minute);
    await clockUntilEnded();
    await expect(running).resolves.toBeUndefined();
    expect(findProcesses(id)).toEqual([]);
  });

  test('a second process for the same folder leaves it alone', async () => {
    const folder = await start({ idleSeconds: null });
    const before = readFileSync(join(folder, 'process.json'), 'utf8');
    await runMachine(folder, clock, stop.signal);
    expect(readFileSync(join(folder, 'process.json'), 'utf8')).toBe(before);
    expect(readMachineFile(folder, 'ended.json')).toBeNull();
    expect(await run('echo still here')).toBe('still here\n');
  });

  test('a folder that is no machine is left alone', async () => {
    await runMachine(join(root, 'nothing'), clock, stop.signal);
    expect(existsSync(join(root, 'nothing'))).toBe(false);
  });

  test('temporary files stay in its folder, unless a socket there would have too long a name', async () => {
    const folder = await start({ idleSeconds: null });
    expect(await run('echo "${TMPDIR:-none}"')).toBe(`${join(folder, 'tmp')}\n`);
  });

  test("a deep home keeps the system's folder for temporary files", async () => {
    await start({ idleSeconds: null }, join(root, 'x'.repeat(60), id));
    expect(await run('echo "${TMPDIR:-none}"')).toBe('none\n');
  });
});
