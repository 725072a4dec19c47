/**
 * Brings a job's checkpoints to this computer while it runs, over a connection of its own, so that the log never waits for them. One
 * at a time, the newest, and at most half of the time: what comes meanwhile is fetched next.
 */
import { GpuRunError, toGpuRunError } from '../core/errors.ts';
import type { Checkpoint, JobEntry } from '../core/job.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import { pullSnapshot, type SnapshotOutcome } from '../sync/pull-snapshot.ts';
import { type CheckpointStore, checkpointStore } from './checkpoint-store.ts';
import type { RunContext } from './context.ts';
import { countPulled } from './cost-egress.ts';
import { copiedRecords } from './job-copy.ts';
import type { JobEvent } from './job-event.ts';
import { isGone, type ReachedMachine, reachMachine } from './reach-machine.ts';

export interface CheckpointFetcher extends AsyncDisposable {
  /** Events of the job, as they come. */
  heard(event: JobEvent): void;
  /** The job has ended, its machine is about to: fetches what is left. Never fails. */
  finish(): Promise<void>;
}

const shortestPauseMs = 1_000;
const longestPauseMs = 60_000;
const connectWithinMs = 20_000;
const keptForMs = 60_000;
/** For what a machine that is about to end still has. */
const finishWithinMs = 30_000;
/** So often in a row nothing could be taken, as everything changed meanwhile: then it is said, once. */
const mostTorn = 5;

/** `folder`: of the checkpoints, relative to the workdir. */
export function fetchCheckpoints(job: JobEntry, machine: MachineEntry, folder: string, context: RunContext): CheckpointFetcher {
  const { clock, reporter } = context;
  const store = checkpointStore(context.home.jobs, job.id);
  const over = new AbortController();
  const signal = AbortSignal.any([context.signal, over.signal]);
  const line = createLine(machine, signal, context);
  let hurry = new AbortController();
  let wanted = false;
  let working: Promise<void> | null = null;
  let torn = 0;
  /** When what was complete of each was written, at the latest, milliseconds since the epoch. */
  const complete = new Map<string, number>();
  const noteComplete = ({ path, endedAt }: Checkpoint) => complete.set(path, Math.max(endedAt, complete.get(path) ?? 0));
  for (const record of copiedRecords(context.home.jobs, job.id)) if (record.type === 'checkpoint') noteComplete(record); // of the attempts before

  const pause = async (ms: number) => {
    await clock.sleep(ms, AbortSignal.any([signal, hurry.signal])).catch(() => {});
    hurry = new AbortController();
  };
  const once = async (): Promise<boolean> => {
    const { isNew, isWhole, changed } = await fetchOnce({ job, machine, folder, store, line, complete, signal }, context);
    if (isNew) torn = 0;
    else if (changed.length > 0) torn += 1;
    if (torn === mostTorn && changed.length > 0) {
      const which = `${changed.slice(0, 3).join(', ')}${changed.length > 3 ? ', ...' : ''}`;
      const text = `Checkpoints of ${job.id} change faster than they can be fetched (${which}): were its machine lost now, it would start from an older one`;
      reporter.report({ type: 'note', level: 'warn', text });
    }
    return isWhole;
  };
  const work = async () => {
    for (let failures = 0; wanted && !signal.aborted; ) {
      wanted = false;
      const begun = clock.now();
      try {
        wanted = !(await once()) || wanted;
        failures = 0;
      } catch (error) {
        if (signal.aborted || isGone(error)) return;
        failures += 1;
        wanted = toGpuRunError(error).code === 'connection' || wanted;
        if (failures === 1)
          reporter.report({ type: 'note', level: 'warn', text: `A checkpoint of ${job.id} could not be fetched: ${toGpuRunError(error).message}` });
      }
      if (wanted) await pause(Math.min(Math.max(shortestPauseMs * 2 ** failures, clock.now() - begun), longestPauseMs));
    }
  };
  const wake = () => {
    wanted = true;
    working ??= work().finally(() => {
      working = null;
      line.rest();
    });
  };

  return {
    heard: (event) => {
      if (event.type === 'state' && event.state === 'cancelling') hurry.abort();
      if (event.type !== 'checkpoint') return;
      noteComplete(event);
      wake();
    },
    finish: async () => {
      hurry.abort();
      const late = new AbortController();
      clock.sleep(finishWithinMs, late.signal).then(
        () => over.abort(),
        () => {},
      );
      try {
        await working;
        if (!signal.aborted && complete.size > 0) await once();
      } catch (error) {
        const text = `The last checkpoint of ${job.id} could not be fetched: ${toGpuRunError(error).message}`;
        if (!isGone(error)) reporter.report({ type: 'note', level: 'warn', text });
      } finally {
        late.abort();
      }
    },
    [Symbol.asyncDispose]: async () => {
      over.abort();
      await working;
      store.drop(store.aside);
      await line.close();
    },
  };
}

interface Fetch {
  readonly job: JobEntry;
  readonly machine: MachineEntry;
  readonly folder: string;
  readonly store: CheckpointStore;
  readonly line: Line;
  readonly complete: ReadonlyMap<string, number>;
  readonly signal: AbortSignal;
}

async function fetchOnce({ job, machine, folder, store, line, complete, signal }: Fetch, context: RunContext): Promise<SnapshotOutcome> {
  const { runner } = await line.open();
  using counted = countPulled(machine, job.id, context);
  const into = store.begin();
  try {
    const open = (op: string, params: unknown) => runner.open(op, params);
    const outcome = await pullSnapshot({ open, path: folder, into, before: store.newest(), aside: store.aside, complete, signal, onReceived: counted.add });
    if (outcome.isNew) store.keep(into);
    return outcome;
  } catch (error) {
    await line.close();
    throw error;
  } finally {
    store.drop(into);
  }
}

/** The connection, kept for a while: the next checkpoint may be near. */
interface Line {
  open(): Promise<ReachedMachine>;
  /** Nothing more comes for now. */
  rest(): void;
  close(): Promise<void>;
}

function createLine(machine: MachineEntry, signal: AbortSignal, context: RunContext): Line {
  let reached: ReachedMachine | null = null;
  let resting = new AbortController();
  const close = async () => {
    resting.abort();
    const last = reached;
    reached = null;
    await last?.[Symbol.asyncDispose]();
  };
  return {
    close,
    open: async () => {
      resting.abort();
      reached ??= await reachSoon(machine, signal, context);
      return reached;
    },
    rest: () => {
      resting = new AbortController();
      context.clock.sleep(keptForMs, resting.signal).then(close, () => {}); // opened again, or closed
    },
  };
}

/** A machine that is gone answers nobody: whoever follows the job finds out. */
async function reachSoon(machine: MachineEntry, signal: AbortSignal, context: RunContext): Promise<ReachedMachine> {
  const late = new AbortController();
  const connected = new AbortController();
  context.clock.sleep(connectWithinMs, connected.signal).then(
    () => late.abort(),
    () => {},
  );
  try {
    return await reachMachine(machine, context, AbortSignal.any([signal, late.signal]));
  } catch (error) {
    if (late.signal.aborted && !signal.aborted) throw new GpuRunError('connection', `'${machine.name}' does not answer.`, { cause: error, retry: 'same' });
    throw error;
  } finally {
    connected.abort();
  }
}
