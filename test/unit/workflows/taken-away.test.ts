/** A machine that is no more: found out fast, and told apart by who ended it. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { GpuRunError } from '../../../src/core/errors.ts';
import type { JobEntry } from '../../../src/core/job.ts';
import type { MachineRef, MachineStatus } from '../../../src/core/machine.ts';
import type { MachineEntry } from '../../../src/ledger/ledger.ts';
import { createFakeProvider, type FakeProvider } from '../../../src/testing/fake-provider.ts';
import type { Transport } from '../../../src/transport/transport.ts';
import type { RunContext } from '../../../src/workflows/context.ts';
import { reachOrLose } from '../../../src/workflows/reach-machine.ts';
import { train } from '../../../src/workflows/train.ts';
import { up } from '../../../src/workflows/up.ts';
import { useBuiltRunner } from '../../support/built-runner.ts';
import { startMetadataServer } from '../../support/metadata-server.ts';
import { pipeTransport, until } from '../../support/runner.ts';
import { createFakeContext, type FakeContext, fakeInput } from './fake-context.ts';

const built = useBuiltRunner();
let fake: FakeContext;
let provider: FakeProvider;
let status: (real: MachineStatus) => MachineStatus;
afterEach(() => fake[Symbol.dispose]());

let connect: () => Transport;
let context: RunContext;

/** A machine that is ready, reached by pipes. */
async function prepare(env: NodeJS.ProcessEnv = {}): Promise<MachineEntry> {
  status = (real) => real;
  fake = createFakeContext((clock) => {
    provider = createFakeProvider({ clock });
    const { describe: look } = provider;
    Object.assign(provider, { describe: async (...args: Parameters<typeof look>) => status(await look(...args)) });
    return { fake: provider };
  });
  const home = mkdtempSync(join(built.folder, 'home-'));
  connect = () => pipeTransport({ PATH: process.env['PATH'], HOME: home, METADATA_SERVER_DETECTION: 'none', ...env });
  context = { ...fake.context, connect: () => connect(), runner: { ...fake.context.runner, file: built.script, version: 'test-1' } };
  return (await up(fakeInput, context)).machine;
}

const broken = (): Transport => ({ ...pipeTransport(), connect: () => Promise.reject(new GpuRunError('connection', 'No answer.', { retry: 'same' })) });
const job: JobEntry = {
  id: 'job-1',
  machineId: '',
  machineName: 'cats',
  command: 'true',
  state: 'running',
  end: null,
  attempts: 1,
  createdAt: 0,
  startedAt: 0,
  endedAt: null,
  asOf: 0,
  user: 'tester',
  branch: null,
};

async function loseIt(machine: MachineEntry, how: (real: MachineStatus) => MachineStatus): Promise<unknown> {
  context.ledger.putJob({ ...job, machineId: machine.id });
  status = how;
  connect = broken;
  const reaching = reachOrLose(machine, context).then(
    () => 'reached',
    (error: unknown) => error,
  );
  await fake.clock.advance(1_000);
  return reaching;
}

describe('a machine that does not answer', () => {
  test.each([
    ['preempted', 'preempted', "fake took the machine 'cats' back: it was preempted.", 'preempted'],
    ['deleted', 'lost', "The machine 'cats' no longer exists: somebody ended it, and not gpu-run on this computer (a request).", 'lost'],
    ['host-error', 'lost', "The machine 'cats' no longer exists: a request.", 'lost'],
    ['off', 'lost', "The machine 'cats' no longer exists: it was switched off, by its watchdog (idle, or its job had stalled) or from inside.", 'lost'],
    ['deadline', 'deadline', "The machine 'cats' has ended: its deadline was reached.", 'lost'],
  ] as const)('gone, %s', async (cause, code, message, reason) => {
    const machine = await prepare();
    const failure = await loseIt(machine, (real) => ({ ...real, state: 'gone', access: null, detail: 'a request', cause }));
    expect(failure).toMatchObject({ code, message });
    expect(context.ledger.get(machine.id)).toMatchObject({ state: 'gone' });
    expect(context.ledger.getJob('job-1')?.end).toMatchObject({ code: null, reason });
    // Whoever comes later learns the same from the ledger.
    await expect(reachOrLose(machine, context)).rejects.toMatchObject({ code, message });
  });

  test('on its way out for a reason counts as gone, and is ended', async () => {
    const machine = await prepare();
    const failure = await loseIt(machine, (real) => (real.state === 'running' ? { ...real, state: 'ending', access: null, cause: 'preempted' } : real));
    expect(failure).toMatchObject({ code: 'preempted', retry: 'elsewhere' });
    expect(provider.machines[0]?.goneAt).not.toBeNull();
  });

  test('lets us in again after we have moved to another network', async () => {
    const machine = await prepare();
    const working = connect;
    const asked: string[] = [];
    Object.assign(provider, {
      letIn: async (ref: MachineRef) => {
        asked.push(ref.id);
        connect = working;
        return true;
      },
    });
    connect = broken;
    await using reached = await reachOrLose(machine, context);
    expect([reached.machine.id, asked]).toEqual([machine.id, [machine.id]]);
  });

  test('that its provider calls up is a connection that broke', async () => {
    const machine = await prepare();
    expect(await loseIt(machine, (real) => real)).toMatchObject({ code: 'connection' });
    expect(context.ledger.get(machine.id)).toMatchObject({ state: 'ready' });
  });

  test('is found to be gone while the connection still hangs', async () => {
    const machine = await prepare();
    connect = () => ({
      ...pipeTransport(),
      connect: (signal) =>
        new Promise((_, reject) => signal?.addEventListener('abort', () => reject(new GpuRunError('interrupted', 'Interrupted.')), { once: true })),
    });
    const reaching = reachOrLose(machine, context);
    reaching.catch(() => {});
    await fake.clock.advance(4_000);
    status = (real) => ({ ...real, state: 'gone', access: null, cause: 'preempted' });
    await fake.clock.advance(6_000);
    await expect(reaching).rejects.toMatchObject({ code: 'preempted' });
    expect(fake.clock.sleeping).toBe(0);
  });

  test('a caller who leaves meanwhile is told so', async () => {
    const machine = await prepare();
    const leave = new AbortController();
    connect = () => ({
      ...pipeTransport(),
      connect: (signal) =>
        new Promise((_, reject) => signal?.addEventListener('abort', () => reject(new GpuRunError('interrupted', 'Interrupted.')), { once: true })),
    });
    const reaching = reachOrLose(machine, context, leave.signal);
    reaching.catch(() => {});
    await fake.clock.advance(500);
    leave.abort();
    await expect(reaching).rejects.toMatchObject({ code: 'interrupted' });
    expect(context.ledger.get(machine.id)).toMatchObject({ state: 'ready' });
  });
});

test('train on a machine that is taken back: the checkpoint is fetched, the job is preempted, the machine is gone', async () => {
  await using metadata = await startMetadataServer();
  await prepare({ GCE_METADATA_HOST: metadata.host });
  const project = mkdtempSync(join(built.folder, 'project-'));
  mkdirSync(join(project, 'checkpoints'));
  writeFileSync(
    join(project, 'train.sh'),
    'trap "mkdir -p checkpoints; echo step-7 > checkpoints/last; exit 0" TERM\necho working\nwhile :; do sleep 0.02; done\n',
  );
  const logged: string[] = [];
  const training = train(
    {
      up: fakeInput,
      command: { kind: 'argv', argv: ['sh', 'train.sh'] },
      setup: null,
      env: {},
      secrets: {},
      sync: { code: project, exclude: ['checkpoints/'], data: [] },
      outputs: ['checkpoints/'],
      folder: project,
      metrics: {},
      graceMs: 1,
      retry: { on: [], attempts: 1, resumeFrom: null },
      preemptSignal: null,
      detach: false,
      teardown: 'keep',
      keepOnFailure: true,
    },
    context,
    (event) => void (event.type === 'log' && logged.push(Buffer.from(event.bytes).toString())),
  );
  training.catch(() => {});
  await Promise.race([training, until(() => logged.join('').includes('working'), 'the job')]);
  metadata.set('instance/preempted', 'TRUE');
  const result = await training;
  expect(result.job.end).toMatchObject({ code: 0, reason: 'preempted' });
  expect(result.machineDown).toBe(true);
  expect(existsSync(join(project, 'checkpoints/last'))).toBe(true);
  expect(readFileSync(join(project, 'checkpoints/last'), 'utf8')).toBe('step-7\n');
  expect(provider.machines[0]?.goneAt).not.toBeNull();
});
