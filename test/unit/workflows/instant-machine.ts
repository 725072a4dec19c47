/** One machine of the ledger, `cats-1`, whose runner answers at once what a test lets it answer, while the clock turns. */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { JobEntry } from '../../../src/core/job.ts';
import type { MachineEntry } from '../../../src/ledger/ledger.ts';
import { createFakeProvider, type FakeProvider } from '../../../src/testing/fake-provider.ts';
import type { RunContext } from '../../../src/workflows/context.ts';
import { up } from '../../../src/workflows/up.ts';
import { type InstantRunner, instantTransport } from '../../support/instant-runner.ts';
import { jobEntry } from '../cli/entries.ts';
import { createFakeContext, type FakeContext, fakeInput } from './fake-context.ts';

export interface InstantMachine extends Disposable {
  readonly fake: FakeContext;
  readonly provider: FakeProvider;
  readonly context: RunContext;
  readonly machine: MachineEntry;
  /** Rejects as `Transport.connect` does. */
  connect: InstantRunner['connect'];
  answer: InstantRunner['answer'];
  /** A running job in the ledger, of which the machine has told an hour ago. */
  put(id: string, changes?: Partial<JobEntry>): JobEntry;
  whileTimePasses<T>(act: () => Promise<T>): Promise<T>;
}

export async function createInstantMachine(): Promise<InstantMachine> {
  const providers: FakeProvider[] = [];
  const fake = createFakeContext((clock) => {
    providers.push(createFakeProvider({ clock }));
    return { fake: providers[0] as FakeProvider };
  });
  const content = 'the runner';
  const file = join(dirname(fake.context.home.ledger), 'runner.mjs');
  writeFileSync(file, content);
  const transport = instantTransport({
    content,
    connect: () => made.connect(),
    answer: (op, params, call) => (op === 'arm' ? { pid: 1, powerOff: null, problem: null } : made.answer(op, params, call)),
  });
  const context: RunContext = { ...fake.context, connect: () => transport, runner: { ...fake.context.runner, file, version: 'test-1' } };
  const made = { connect: async () => {}, answer: () => ({}) } as Pick<InstantMachine, 'connect' | 'answer'>;
  const { machine } = await up(fakeInput, context);
  return Object.assign(made, {
    ...{ fake, provider: providers[0] as FakeProvider, context, machine },
    put: (id: string, changes: Partial<JobEntry> = {}) => {
      const known = jobEntry(null, { id, machineId: machine.id, machineName: machine.name, asOf: fake.clock.now() - 3_600_000, ...changes });
      context.ledger.putJob(known);
      return known;
    },
    whileTimePasses: async <T>(act: () => Promise<T>): Promise<T> => {
      let isDone = false;
      const acting = act().finally(() => {
        isDone = true;
      });
      acting.catch(() => {}); // awaited below
      while (!isDone) {
        await new Promise((resolve) => setImmediate(resolve));
        if (fake.clock.sleeping > 0) await fake.clock.advance(200);
      }
      return await acting;
    },
    [Symbol.dispose]: () => fake[Symbol.dispose](),
  });
}
