/** Local machines over real SSH: what a job sees, what ends with the machine, and when the machine ends. */
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import { labelKeys, type MachineRef, type MachineStatus } from '../../../src/core/machine.ts';
import { identifyProcess, isAlive, ownIdentity, type ProcessIdentity } from '../../../src/core/process-identity.ts';
import { readMachineFile } from '../../../src/providers/local/machine-folder.ts';
import { findProcesses, signalProcess } from '../../../src/providers/local/process-tree.ts';
import type { LaunchPlan } from '../../../src/providers/provider.ts';
import { connectTransport } from '../../../src/transport/connect.ts';
import { generateKeyPair } from '../../../src/transport/host-keys.ts';
import type { Transport } from '../../../src/transport/transport.ts';
import { anyNeed, collect, planFor } from '../../contract/provider.ts';
import { type LocalMachines, openLocalMachines } from '../../support/local-machines.ts';

const owner = 'ann-x7k2pq';
const key = generateKeyPair();

let machines: LocalMachines;
let transports: Transport[];
beforeEach(async () => {
  machines = await openLocalMachines();
  transports = [];
});
afterEach(async () => {
  await Promise.all(transports.map((transport) => transport.close()));
  await machines.close();
});

async function plan(changes: Partial<LaunchPlan> = {}): Promise<LaunchPlan> {
  const [offer] = await collect(machines.provider.offers(anyNeed));
  if (offer === undefined) throw new Error('no offer');
  return planFor(offer, anyNeed, Date.now(), { sshPublicKey: key.publicKey, ...changes });
}

async function until(ref: MachineRef, state: MachineStatus['state']): Promise<MachineStatus> {
  for (;;) {
    const status = await machines.provider.describe(ref);
    if (status.state === state) return status;
    if (status.state === 'gone') throw new Error(`gone: ${status.detail}`);
    await systemClock.sleep(10);
  }
}

async function start(changes?: Partial<LaunchPlan>): Promise<MachineRef> {
  const ref = await machines.provider.launch(await plan(changes));
  await until(ref, 'running');
  return ref;
}

const folderOf = (ref: MachineRef) => join(machines.home, ref.id);
const listed = () => collect(machines.provider.list(owner));

function holderOf(ref: MachineRef): ProcessIdentity {
  const holder = readMachineFile(folderOf(ref), 'process.json');
  if (holder === null) throw new Error('no process');
  return holder;
}

async function connect(ref: MachineRef): Promise<Transport> {
  const { access } = await machines.provider.describe(ref);
  if (access === null) throw new Error('no access');
  const scratch = join(dirname(machines.home), 'scratch');
  mkdirSync(scratch, { recursive: true, mode: 0o700 });
  const identityFile = join(scratch, 'key');
  writeFileSync(identityFile, key.privateKey, { mode: 0o600 });
  const transport = connectTransport({ access, identityFile, scratch });
  transports.push(transport);
  return transport;
}

async function run(transport: Transport, script: string): Promise<string> {
  const command = transport.exec(['sh', '-c', script]);
  command.stdin.end();
  const [stdout, stderr, exit] = await Promise.all([text(command.stdout), text(command.stderr), command.exit]);
  expect({ stderr, ...exit }).toEqual({ stderr: '', code: 0, signal: null });
  return stdout;
}

/** A job as the runner would leave it behind: its own session, deaf to SIGTERM. */
async function startJob(transport: Transport): Promise<ProcessIdentity> {
  const pid = Number(
    await run(transport, `GPU_RUN_JOB=job-1 setsid sh -c 'trap "" TERM HUP; echo $$; exec >&-; while :; do sleep 0.2; done' 2>/dev/null </dev/null & wait=1`),
  );
  const identity = identifyProcess(pid);
  if (identity === null) throw new Error(`the job ${pid} did not start`);
  return identity;
}

describe('a local machine', () => {
  test('runs commands in its own home, as this user, with nothing of our environment but what it was given', async () => {
    process.env['GPU_RUN_TEST_SECRET'] = 'hunter2';
    const ref = await start();
    delete process.env['GPU_RUN_TEST_SECRET'];
    const transport = await connect(ref);
    const home = join(folderOf(ref), 'home');
    expect(await run(transport, 'pwd -P; echo "$HOME"; id -un')).toBe(`${home}\n${home}\n${(await until(ref, 'running')).access?.user}\n`);
    const env = await run(transport, 'env');
    expect(env).toContain(`GPU_RUN_MACHINE=${ref.id}\n`);
    expect(env).not.toContain('hunter2');
  });

  test('can be given more time, or less, while it runs; its label says so, too', async () => {
    const ref = await start();
    const later = Date.now() + 9 * 3_600_000;
    await machines.provider.extend?.(ref, later);
    expect(await machines.provider.describe(ref)).toMatchObject({ state: 'running', deadline: later });
    const [found] = (await listed()).filter(({ id }) => id === ref.id);
    expect(found?.labels[labelKeys.expires]).toBe(String(Math.floor(later / 1000)));
    await machines.provider.extend?.(ref, Date.now());
    await expect(until(ref, 'pending')).rejects.toThrow('it reached its deadline');
    await expect(machines.provider.extend?.({ ...ref, id: 'nobody' }, later)).rejects.toMatchObject({ code: 'not-found' });
  });

  test('is readable by nobody else', async () => {
    const ref = await start();
    expect(statSync(folderOf(ref)).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(folderOf(ref))) expect(statSync(join(folderOf(ref), name)).mode & 0o077).toBe(0);
  });

  test('lets in only the one key that it was made for', async () => {
    const ref = await start({ sshPublicKey: generateKeyPair().publicKey });
    await expect((await connect(ref)).connect()).rejects.toMatchObject({ code: 'not-allowed' });
  });

  test('has a host key of its own, known before the first connection', async () => {
    const [one, other] = [await start(), await start()];
    const keys = await Promise.all([one, other].map(async (ref) => (await machines.provider.describe(ref)).access));
    const [first, second] = keys.map((access) => (access?.kind === 'own' ? access : null));
    expect(first?.hostKeys).not.toEqual(second?.hostKeys);
    expect(first?.port).not.toBe(second?.port);
    await (await connect(one)).connect();
  });

  test('outlives who launched it, and writes nothing outside its folder', async () => {
    const before = readdirSync(dirname(machines.home));
    const ref = await start();
    expect(readdirSync(machines.home)).toEqual([ref.id]);
    expect(new Set([...before, 'local'])).toEqual(new Set(readdirSync(dirname(machines.home))));
    expect(identifyProcess(holderOf(ref).pid)).not.toBeNull();
  });
});

describe('terminate', () => {
  test('ends jobs that left the session and ignore SIGTERM, ends connections, removes the folder', async () => {
    const ref = await start();
    const transport = await connect(ref);
    const job = await startJob(transport);
    const open = transport.exec(['sleep', '1000']);
    const broken = open.exit.then(
      () => 'ended',
      () => 'broken',
    );
    const holder = holderOf(ref);
    expect(await machines.provider.terminate(ref)).toEqual({ state: 'gone', leftovers: [] });
    expect([isAlive(job), isAlive(holder), existsSync(folderOf(ref))]).toEqual([false, false, false]);
    expect(findProcesses(ref.id)).toEqual([]);
    expect(await broken).toMatch(/ended|broken/);
  });

  test('ends what a machine left behind whose process was killed', async () => {
    const ref = await start();
    const job = await startJob(await connect(ref));
    signalProcess(holderOf(ref), 'SIGKILL');
    while (isAlive(holderOf(ref))) await systemClock.sleep(5);
    const status = await machines.provider.describe(ref);
    expect(status).toMatchObject({ state: 'gone', access: null });
    expect(status.detail).toContain('still run');
    expect(await listed()).toEqual([ref]);
    expect(await machines.provider.terminate(ref)).toEqual({ state: 'gone', leftovers: [] });
    expect([isAlive(job), existsSync(folderOf(ref))]).toEqual([false, false]);
  });

  test('removes folders that a job has made unwritable', async () => {
    const ref = await start();
    await run(await connect(ref), 'mkdir -p a/b/c && touch a/b/c/d && ln -s / root && chmod 0500 a/b/c a/b && chmod 0 a');
    expect(await machines.provider.terminate(ref)).toEqual({ state: 'gone', leftovers: [] });
    expect(existsSync(folderOf(ref))).toBe(false);
  });

  test('never signals a later process that was given the same pid', async () => {
    const ref = await start();
    const holder = holderOf(ref);
    signalProcess(holder, 'SIGKILL');
    while (isAlive(holder)) await systemClock.sleep(5);
    writeFileSync(join(folderOf(ref), 'process.json'), JSON.stringify({ pid: ownIdentity().pid, started: holder.started }));
    expect((await machines.provider.describe(ref)).state).toBe('gone');
    expect((await machines.provider.terminate(ref)).state).toBe('gone'); // and this test goes on
  });
});

describe('a local machine ends by itself', () => {
  async function untilGone(ref: MachineRef): Promise<MachineStatus> {
    for (;;) {
      const status = await machines.provider.describe(ref);
      if (status.state === 'gone') return status;
      await systemClock.sleep(25);
    }
  }

  test('at its deadline, with its jobs, and says so; the folder stays until it is terminated', async () => {
    const ref = await start({ deadline: Date.now() + 2_500 });
    const job = await startJob(await connect(ref));
    expect((await untilGone(ref)).detail).toBe('it reached its deadline');
    expect(isAlive(job)).toBe(false);
    expect(readMachineFile(folderOf(ref), 'ended.json')?.why).toBe('it reached its deadline');
    expect(await listed()).toEqual([ref]);
    await machines.provider.terminate(ref);
    expect(await listed()).toEqual([]);
  });

  test('when its folder is removed', async () => {
    const ref = await start();
    const holder = holderOf(ref);
    const job = await startJob(await connect(ref));
    rmSync(folderOf(ref), { recursive: true });
    expect((await machines.provider.describe(ref)).state).toBe('gone');
    while (isAlive(holder)) await systemClock.sleep(25);
    expect(isAlive(job)).toBe(false);
  });

  test('when it is told to, with the reason kept', async () => {
    const ref = await start();
    signalProcess(holderOf(ref), 'SIGTERM');
    expect((await untilGone(ref)).detail).toBe('it was told to end');
  });
});
