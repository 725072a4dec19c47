/** `sync --watch`: one connection, and a push a moment after each change, until the caller aborts. */
import { GpuRunError, toGpuRunError } from '../core/errors.ts';
import type { Reporter } from '../core/reporter.ts';
import { type WatchedTrees, watchTrees } from '../sync/live-trees.ts';
import { prepareProject } from '../sync/push.ts';
import type { RunContext } from './context.ts';
import { findMachine } from './find.ts';
import { askedPush, type PushInput } from './push.ts';
import { pushOnce, type SyncTotals } from './push-once.ts';
import { type ReachedMachine, reachOrLose } from './reach-machine.ts';
import { besideRecovery } from './recover.ts';

/** What an editor does to save one file comes within so long, milliseconds; and what never rests waits no longer than that. */
const settleMs = 5;
const mostSettleMs = 100;
/** How often is looked at the clock, and walked where not every change is heard of. */
const tickMs = 2_000;
/** All is walked from time to time, and when this computer has slept: what was written through a memory map, or another name, is not heard of. */
const doubtEveryMs = 300_000;
const sleptMs = 10_000;
const firstPauseMs = 200;
const longestPauseMs = 10_000;
const giveUpAfterMs = 600_000;

/** `at`: when it was done, milliseconds since the epoch. */
export interface Pushed extends SyncTotals {
  readonly at: number;
}

/** Ends when the signal aborts. `onPush`: told of the first push, and of each that changed something. @throws GpuRunError as `push`; `connection` after ten minutes without one */
export async function watchSync(input: PushInput, context: RunContext, onPush: (pushed: Pushed) => void): Promise<void> {
  await besideRecovery(context, () => watch(input, context, onPush));
}

async function watch(input: PushInput, context: RunContext, onPush: (pushed: Pushed) => void): Promise<void> {
  const { clock, reporter, signal } = context;
  const changes = createAlarm();
  const trees = watchTrees(changes.ring);
  let failingSince: number | null = null;
  let pause = firstPauseMs;
  try {
    while (!signal.aborted) {
      try {
        await using reached = await reachOrLose(findMachine(input.name, context), context);
        if (failingSince !== null) reporter.report({ type: 'link', state: 'connected', text: 'Connected again' });
        failingSince = null;
        pause = firstPauseMs;
        await pushChanges(reached, input, context, { trees, changes, onPush });
      } catch (error) {
        if (signal.aborted) return;
        const failure = toGpuRunError(error);
        failingSince ??= clock.now();
        if (failure.code !== 'connection' || clock.now() - failingSince >= giveUpAfterMs) throw error;
        if (pause === firstPauseMs) reporter.report({ type: 'link', state: 'reconnecting', text: `${failure.message} Reconnecting` });
        await clock.sleep(pause, signal).catch(() => {});
        pause = Math.min(pause * 2, longestPauseMs);
      }
    }
  } finally {
    trees.close();
  }
}

interface Watching {
  readonly trees: WatchedTrees;
  readonly changes: Alarm;
  readonly onPush: (pushed: Pushed) => void;
}

/** Until the signal aborts. @throws GpuRunError when the connection is over */
async function pushChanges(reached: ReachedMachine, input: PushInput, context: RunContext, { trees, changes, onPush }: Watching): Promise<void> {
  const { clock, signal } = context;
  const over = reached.runner.over.then((reason) => Promise.reject(reason));
  over.catch(() => {}); // a push may fail of it first
  let asked = askedPush(input, context);
  let pushes = 0;
  let doubtedAt = clock.now();
  for (let lookedAt = doubtedAt; !signal.aborted; ) {
    if (pushes === 0 || changes.isRung || trees.unsure) {
      changes.reset();
      const reporter = pushes === 0 ? context.reporter : withoutProgress(context.reporter);
      const preparing = prepareProject(asked.project, context.home.sync, signal, trees);
      const totals = await pushOnce(reached, { ...asked, preparing, live: true }, { ...context, reporter });
      if (pushes === 0 || !totals.unchanged) onPush({ ...totals, at: clock.now() });
      pushes += 1;
    }
    await Promise.race([changes.rung, over, aborted(clock.sleep(tickMs, signal))]);
    if (changes.isRung) await settled(changes, over, context);
    const now = clock.now();
    if (now - doubtedAt >= doubtEveryMs || now - lookedAt >= sleptMs) {
      doubtedAt = now;
      asked = askedPush(input, context);
      trees.doubt();
      changes.ring();
    }
    lookedAt = now;
  }
}

/** Waits until changes have rested for a moment. */
async function settled(changes: Alarm, over: Promise<never>, { clock, signal }: RunContext): Promise<void> {
  const until = clock.now() + mostSettleMs;
  do {
    changes.reset();
    await Promise.race([over, aborted(clock.sleep(settleMs, signal))]);
  } while (changes.isRung && clock.now() < until && !signal.aborted);
  changes.ring();
}

async function aborted(sleeping: Promise<void>): Promise<void> {
  await sleeping.catch(() => {});
}

interface Alarm {
  readonly isRung: boolean;
  /** Resolves when it rings, at once where it has. */
  readonly rung: Promise<void>;
  readonly ring: () => void;
  reset(): void;
}

function createAlarm(): Alarm {
  let bell = Promise.withResolvers<void>();
  let isRung = false;
  return {
    get isRung() {
      return isRung;
    },
    get rung() {
      return bell.promise;
    },
    ring: () => {
      isRung = true;
      bell.resolve();
    },
    reset: () => {
      if (isRung) bell = Promise.withResolvers<void>();
      isRung = false;
    },
  };
}

/** A push that takes milliseconds has none. */
function withoutProgress(reporter: Reporter): Reporter {
  return {
    report: (report) => {
      if (report.type === 'note' || report.type === 'link') reporter.report(report);
    },
  };
}

/** What `sync --watch` ends with. */
export function stoppedWatching(): GpuRunError {
  return new GpuRunError('interrupted', 'Stopped watching; the machine has what was pushed.');
}
