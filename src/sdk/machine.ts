/** A machine in the SDK's hands, and the jobs that it runs. */
import { readMlflow } from '../config/mlflow.ts';
import type { Settings } from '../config/settings.ts';
import type { JobEntry } from '../core/job.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { PulledFile } from '../sync/pull.ts';
import { cancel } from '../workflows/cancel.ts';
import type { RunContext } from '../workflows/context.ts';
import { saveAndEnd } from '../workflows/down.ts';
import { downReason } from '../workflows/end-reason.ts';
import { follow } from '../workflows/follow.ts';
import type { JobEvent, OnJobEvent } from '../workflows/job-event.ts';
import { pull } from '../workflows/pull.ts';
import { train } from '../workflows/train.ts';
import { checkNames } from './known-options.ts';
import { inputFor, type TrainOptions, trainOptions } from './train-options.ts';

export interface Machine extends AsyncDisposable {
  readonly name: string;
  /** As the ledger knew it when `up` returned. */
  readonly entry: MachineEntry;
  /**
   * Syncs and starts a job, as `gpu-run train --detach`; returns as soon as the machine has accepted it. Nobody starts it again when the
   * machine is lost, whatever `retry` in `gpu-run.yaml` says: that needs somebody who stays, as `GpuRun.train` does.
   * @throws GpuRunError as `gpu-run train`
   */
  train(options?: TrainOptions): Promise<Job>;
  /** Relative to the workdir; default: the config's outputs. */
  pull(paths?: readonly string[]): Promise<readonly PulledFile[]>;
  /** Ends the machine. Also called by `await using`. */
  down(): Promise<void>;
}

export interface Job {
  readonly id: string;
  /** Replays from the start and follows, over dropped connections, until the job has ended. May be called more than once. */
  events(): AsyncIterable<JobEvent>;
  /** The job as it ended. */
  wait(): Promise<JobEntry>;
  cancel(): Promise<JobEntry>;
}

export interface MachineParts {
  readonly entry: MachineEntry;
  readonly settings: Settings;
  /** The SDK's. */
  readonly folder: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly withContext: <T>(work: (context: RunContext) => Promise<T>) => Promise<T>;
}

export function createMachine({ entry, settings, folder, env, withContext }: MachineParts): Machine {
  /** Another one than at first when that had ended by itself and `train` had to make a new one. */
  let current = entry;
  const end = async () => void (await withContext((context) => saveAndEnd(context.ledger.get(current.id) ?? current, downReason, context)));
  return {
    name: entry.name,
    entry,
    train: async (options = {}) => {
      checkNames('train', options, trainOptions);
      const input = inputFor(options, { settings, folder, env }, { detach: true, teardown: 'keep', keepOnFailure: false });
      const mlflow = readMlflow(settings.mlflow, env);
      const { job, machine } = await withContext((context) => train(input, context, () => {}));
      current = machine;
      return createJob(job, (work) => withContext((context) => work({ ...context, mlflow })));
    },
    pull: (paths) =>
      withContext((context) => pull({ name: entry.name, paths: paths ?? settings.outputs, into: settings.folder, strict: paths !== undefined }, context)),
    down: end,
    [Symbol.asyncDispose]: end,
  };
}

function createJob(job: JobEntry, withContext: MachineParts['withContext']): Job {
  const followAll = (onEvent: OnJobEvent, signal?: AbortSignal) =>
    withContext((context) => {
      const input = { jobId: job.id, after: 0, tailLines: null, follow: true };
      return follow(input, signal === undefined ? context : { ...context, signal: AbortSignal.any([context.signal, signal]) }, onEvent);
    });
  return {
    id: job.id,
    events: () => iterate(followAll),
    wait: () => followAll(() => {}),
    cancel: () => withContext((context) => cancel({ jobId: job.id, graceMs: null }, context)),
  };
}

interface Offered {
  readonly event: JobEvent;
  readonly taken: () => void;
}

/** A stream of callbacks as an async iterable: each callback waits until its event was taken; a reader that leaves stops the stream. */
async function* iterate(run: (onEvent: OnJobEvent, signal: AbortSignal) => Promise<unknown>): AsyncGenerator<JobEvent> {
  const left = new AbortController();
  let offer: (value: Offered | null) => void = () => {};
  const nextOffer = () =>
    new Promise<Offered | null>((resolve) => {
      offer = resolve;
    });
  let next = nextOffer();
  const finished = run((event) => (left.signal.aborted ? undefined : new Promise((taken) => offer({ event, taken }))), left.signal);
  finished.then(
    () => offer(null),
    () => offer(null),
  );
  let current: Offered | null = null;
  try {
    for (current = await next; current !== null; current = await next) {
      next = nextOffer();
      yield current.event;
      current.taken();
    }
    await finished;
  } finally {
    left.abort();
    current?.taken();
    finished.catch(() => {}); // thrown above, unless the reader left first
  }
}
