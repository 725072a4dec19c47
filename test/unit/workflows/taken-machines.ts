/** Trainings on fake machines with real runners that are taken away: for tests of what follows. */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect } from 'vitest';
import { GpuRunError } from '../../../src/core/errors.ts';
import type { MachineEntry } from '../../../src/ledger/ledger.ts';
import { createFakeProvider, type FakeProvider } from '../../../src/testing/fake-provider.ts';
import type { RunContext } from '../../../src/workflows/context.ts';
import { train } from '../../../src/workflows/train.ts';
import type { TrainInput, TrainResult } from '../../../src/workflows/train-input.ts';
import { useBuiltRunner } from '../../support/built-runner.ts';
import { type FakeMetadata, startMetadataServer } from '../../support/metadata-server.ts';
import { kill, pipeTransport, processesHolding, until } from '../../support/runner.ts';
import { createFakeContext, type FakeContext, fakeInput } from './fake-context.ts';

export interface TakenMachines {
  readonly fake: FakeContext;
  readonly provider: FakeProvider;
  readonly context: RunContext;
  readonly project: string;
  inputOf(command: string, more?: Partial<TrainInput>): TrainInput;
  /** Starts it, and does something to the machine each time that the job says that it is at work. */
  trainThrough(input: TrainInput, troubles: readonly Trouble[]): Promise<Trained>;
  /** Its machine is gone from one moment to the next. */
  readonly vanish: Trouble;
  /** With notice. It is over when the next attempt is announced. */
  readonly takeBack: Trouble;
  /** Lets the clock stand still, or turn again. */
  turn(on: boolean): void;
}

export type Trouble = (machineId: string) => void | Promise<void>;

export interface Trained {
  readonly value: TrainResult | null;
  readonly error: unknown;
  readonly log: string;
}

export const works = 'echo "attempt $GPU_RUN_ATTEMPT of $GPU_RUN_JOB"; echo at work;';
export const untilTaken = `${works} if [ "$GPU_RUN_ATTEMPT" -lt 3 ]; then sleep 60; fi; echo done`;

/** Call it at the top of a file; what it returns prepares one test. */
export function takenMachines(): () => Promise<TakenMachines> {
  const built = useBuiltRunner();
  let open: { readonly fake: FakeContext; readonly metadata: FakeMetadata; turn(on: boolean): void } | null = null;
  afterEach(async () => {
    open?.turn(false);
    open?.fake[Symbol.dispose]();
    await open?.metadata[Symbol.asyncDispose]();
    open = null;
  });
  return async () => {
    const metadata = await startMetadataServer();
    const providers: FakeProvider[] = [];
    const fake = createFakeContext((clock) => {
      providers.push(createFakeProvider({ clock }));
      return { fake: providers[0] as FakeProvider };
    });
    const home = mkdtempSync(join(built.folder, 'home-'));
    const env = { PATH: process.env['PATH'], HOME: home, METADATA_SERVER_DETECTION: 'none', GCE_METADATA_HOST: metadata.host };
    const runner = { ...fake.context.runner, file: built.script, version: 'test-1' };
    let turning: NodeJS.Timeout | null = null;
    const turn = (on: boolean) => {
      if (turning !== null) clearInterval(turning);
      // Pauses are short; what waits for real processes by the same clock has long enough, also on a busy computer.
      turning = on ? setInterval(() => void fake.clock.advance(100), 25) : null;
    };
    turn(true);
    open = { fake, metadata, turn };
    const project = mkdtempSync(join(built.folder, 'project-'));
    const dead = new Set<string>();
    const connect = ({ id }: MachineEntry) => {
      const transport = pipeTransport(env);
      const connectNow = transport.connect;
      const nobody = () => Promise.reject(new GpuRunError('connection', 'Nobody answers.', { retry: 'same' }));
      return { ...transport, connect: (signal: AbortSignal) => (dead.has(id) ? nobody() : connectNow(signal)) };
    };
    return tools({ fake, provider: providers[0] as FakeProvider, context: { ...fake.context, connect, runner }, project, dead, turn }, metadata);
  };
}

/** `dead`: machines that answer nobody any more, whatever goes on running here. */
type Parts = Pick<TakenMachines, 'fake' | 'provider' | 'context' | 'project' | 'turn'> & { readonly dead: Set<string> };

function tools(parts: Parts, metadata: FakeMetadata): TakenMachines {
  const { fake, provider, context, project, dead } = parts;
  return {
    ...parts,
    inputOf: (command, more = {}) => ({ ...plainInput(project), command: { kind: 'shell', text: command }, ...more }),
    trainThrough: async (input, troubles) => {
      let log = '';
      let met = 0;
      const training = train(input, context, async (event) => {
        if (event.type !== 'log') return;
        expect(event.offset).toBe(Buffer.byteLength(log));
        log += Buffer.from(event.bytes).toString();
        const trouble = log.match(/at work/g)?.length === met + 1 ? troubles[met] : undefined;
        if (trouble === undefined) return;
        met += 1;
        await trouble(provider.machines.at(-1)?.ref.id ?? '');
      });
      try {
        return { value: await training, error: null, log };
      } catch (error) {
        return { value: null, error, log };
      }
    },
    vanish: (id) => {
      dead.add(id);
      provider.takeBack(id);
      endAll(`/machines/${id}`);
    },
    takeBack: () => {
      const announced = () => fake.reports.filter((report) => 'text' in report && / begins in /.test(report.text)).length;
      const before = announced();
      metadata.set('instance/preempted', 'TRUE');
      void until(() => announced() > before, 'the pause', 20_000, 1).then(
        () => metadata.set('instance/preempted', 'FALSE'),
        () => {}, // there is no next one
      );
    },
  };
}

function plainInput(project: string): Omit<TrainInput, 'command'> {
  return {
    up: { ...fakeInput, forOneJob: true },
    setup: null,
    env: {},
    secrets: {},
    sync: { code: project, exclude: [], data: [] },
    outputs: [],
    folder: project,
    metrics: {},
    graceMs: 1,
    retry: { on: ['preempted', 'lost'], attempts: 3, resumeFrom: null },
    preemptSignal: null,
    detach: false,
    teardown: 'auto',
    keepOnFailure: false,
  };
}

/** Ends processes with this in their environment or arguments; true when none is left. */
function endAll(needle: string): boolean {
  const left = processesHolding(needle);
  for (const pid of left) kill(pid);
  return left.length === 0;
}
