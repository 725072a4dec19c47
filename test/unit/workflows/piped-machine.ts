/** A machine that is up, with the real runner on it, reached by pipes instead of SSH. For vitest files only: it cleans up after each test and after the last. */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import type { MachineEntry } from '../../../src/ledger/ledger.ts';
import { createFakeProvider } from '../../../src/testing/fake-provider.ts';
import type { Transport } from '../../../src/transport/transport.ts';
import type { RunContext } from '../../../src/workflows/context.ts';
import { reachMachine } from '../../../src/workflows/reach-machine.ts';
import { up } from '../../../src/workflows/up.ts';
import { useBuiltRunner } from '../../support/built-runner.ts';
import { pipeTransport, specOf, until } from '../../support/runner.ts';
import { jobEntry } from '../cli/entries.ts';
import { createFakeContext, type FakeContext, fakeInput } from './fake-context.ts';

export interface PipedMachine {
  readonly fake: FakeContext;
  readonly context: RunContext;
  readonly machine: MachineEntry;
  /** Home of the user there. */
  readonly home: string;
  /** How it is reached from now on. */
  connect: () => Transport;
}

/** Fresh for each test. */
export function usePipedMachine(): PipedMachine {
  const now = {} as { -readonly [Key in keyof PipedMachine]: PipedMachine[Key] };
  const built = useBuiltRunner();
  beforeEach(async () => {
    now.fake = createFakeContext((clock) => ({ fake: createFakeProvider({ clock }) }));
    now.home = mkdtempSync(join(built.folder, 'home-'));
    now.connect = () => pipeTransport({ PATH: process.env['PATH'], HOME: now.home, METADATA_SERVER_DETECTION: 'none' });
    now.context = { ...now.fake.context, connect: () => now.connect(), runner: { ...now.fake.context.runner, file: built.script, version: 'test-1' } };
    now.machine = (await up(fakeInput, now.context)).machine;
  });
  afterEach(() => now.fake[Symbol.dispose]());
  return now;
}

interface RunOptions {
  readonly splitLog?: boolean;
  readonly until?: 'queued' | 'running' | 'ended';
}

/** A job that nobody follows, at its end or running. @returns its id */
export async function runOn({ machine, context }: PipedMachine, command: string, options: RunOptions = {}): Promise<string> {
  const { splitLog = false, until: wanted = 'ended' } = options;
  const spec = specOf(command, { splitLog });
  context.ledger.putJob(jobEntry(null, { id: spec.id, machineId: machine.id, machineName: machine.name, ...(wanted === 'queued' ? { state: wanted } : {}) }));
  await using reached = await reachMachine(machine, context);
  await reached.runner.call('submit', { spec });
  await until(async () => (await reached.runner.call('jobs', {})).jobs.some(({ id, state }) => id === spec.id && state === wanted), `the job to be ${wanted}`);
  return spec.id;
}
