/** What a gpu-run that is to be killed is told to do. Plain JSON. */
import type { Provider } from '../../src/providers/provider.ts';
import type { TrainInput } from '../../src/workflows/train-input.ts';
import type { UpInput } from '../../src/workflows/up-input.ts';

export interface CrashOrder {
  readonly command: 'up' | 'train' | 'down' | 'extend';
  /** State folder. */
  readonly root: string;
  /** What `train` sends. */
  readonly project: string;
  /** Of the emulator. */
  readonly env: Readonly<Record<string, string>>;
  /** The bundled runner. */
  readonly runner: string;
  /** A step, counted from 1 or by its name, the first of it; null: it lives. */
  readonly killAt: number | string | null;
}

/** A machine without GPU, on demand: up sooner than one with. */
export function upInput(forOneJob: boolean): UpInput {
  return {
    name: 'cats',
    providers: ['gcp'],
    need: { spot: false, regions: ['us-central1'], nodes: 1, providerOptions: {} },
    template: null,
    maxTimeSeconds: 4 * 3600,
    idleSeconds: 900,
    budgetUsd: null,
    forOneJob,
  };
}

/** `line`: for the shell. The machine goes down with the job. */
export function trainInput(line: string, project: string): TrainInput {
  return {
    up: upInput(true),
    command: { kind: 'argv', argv: ['sh', '-c', line] },
    setup: null,
    env: {},
    secrets: {},
    sync: { code: project, exclude: [], data: [] },
    outputs: [],
    folder: project,
    metrics: {},
    graceMs: 1_000,
    retry: { on: [], attempts: 1, resumeFrom: null },
    preemptSignal: null,
    detach: false,
    teardown: 'auto',
    keepOnFailure: false,
  };
}

/** Of a machine that was to live for 4 hours. */
export const extension = { name: 'cats', bySeconds: 3600 };

/** The timer of Compute Engine can't be moved: here it can, for which one more call is made, and its own one is far away. */
export function extendable(provider: Provider): Provider {
  const { describe } = provider;
  return { ...provider, extend: async (ref, _deadline, signal) => void (await describe(ref, signal)) };
}
