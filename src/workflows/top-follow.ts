/** The jobs of a machine that is watched, and one of them followed: the one that was asked for, else the newest that runs. */
import { type JobSummary, jobIdOf, runnerJobId } from '../core/job.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { RunnerClient } from '../runner/client.ts';
import { followJob } from '../runner/follow.ts';
import { spentBy } from './budget-spent.ts';
import { budgetUse } from './budget-warnings.ts';
import { noteSummary } from './cancel.ts';
import type { RunContext } from './context.ts';
import { isMachineOver } from './reach-machine.ts';
import type { OnTopEvent } from './top-event.ts';

export interface Follower {
  /** From now on this one. */
  readonly choose: (id: string) => void;
  /** All that there is of the job now. */
  once(runner: RunnerClient, context: RunContext, tell: OnTopEvent): Promise<void>;
  /** Until the connection or the context ends. */
  keep(runner: RunnerClient, context: RunContext, tell: OnTopEvent): Promise<never>[];
}

const jobsEveryMs = 2_000;
const lookForJobMs = 250;
/** Of a log that is already long. */
const logTailBytes = 64 * 1024;

/** What was handed out of the followed job; kept over connections. */
interface Place {
  readonly id: string;
  logOffset: number;
  errOffset: number;
  record: number;
}

export function createFollower(machine: MachineEntry): Follower {
  let wanted: string | null = null;
  let changed = new AbortController();
  let jobs: readonly JobSummary[] = [];
  let place: Place | null = null;

  const ask = async (runner: RunnerClient, context: RunContext, tell: OnTopEvent) => {
    ({ jobs } = await runner.call('jobs', {}));
    noteChanges(jobs, machine, context);
    await tellMachine(machine, context, tell);
    await tell({ type: 'jobs', jobs });
  };
  const takeUp = async ({ signal }: RunContext, tell: OnTopEvent): Promise<Place | null> => {
    signal.throwIfAborted(); // what is told from now on is dropped
    const job = chosenJob(jobs, wanted);
    if (job === null || place?.id === job.id) return place;
    const tail = (bytes: number) => Math.max(0, bytes - logTailBytes);
    place = { id: job.id, logOffset: tail(job.logBytes), errOffset: tail(job.errBytes ?? 0), record: 0 };
    await tell({ type: 'job', id: job.id });
    return place;
  };
  const keepAsking = async (runner: RunnerClient, context: RunContext, tell: OnTopEvent): Promise<never> => {
    for (;;) {
      await ask(runner, context, tell);
      await context.clock.sleep(jobsEveryMs, context.signal);
    }
  };
  const keepFollowing = async (runner: RunnerClient, context: RunContext, tell: OnTopEvent): Promise<never> => {
    for (let done: Place | null = null; ; ) {
      const now = await takeUp(context, tell);
      const other = changed.signal;
      if (now !== null && now !== done) {
        await followOne(now, machine, runner, { ...context, signal: AbortSignal.any([context.signal, other]) }, true, tell).catch((error: unknown) => {
          if (!other.aborted) throw error;
        });
        if (!other.aborted) {
          done = now;
          await ask(runner, context, tell); // it has ended, and the next one may run
        }
      }
      await context.clock.sleep(lookForJobMs, context.signal);
    }
  };
  return {
    choose: (id) => {
      wanted = id;
      changed.abort();
      changed = new AbortController();
    },
    once: async (runner, context, tell) => {
      await ask(runner, context, tell);
      const now = await takeUp(context, tell);
      if (now !== null) await followOne(now, machine, runner, context, false, tell);
    },
    keep: (runner, context, tell) => [keepAsking(runner, context, tell), keepFollowing(runner, context, tell)],
  };
}

/** The one that was asked for, else the newest that runs, else the newest. */
export function chosenJob(jobs: readonly JobSummary[], wanted: string | null): JobSummary | null {
  const newestFirst = jobs.toSorted((a, b) => (b.startedAt ?? b.createdAt) - (a.startedAt ?? a.createdAt));
  const running = newestFirst.find(({ state }) => state !== 'ended' && state !== 'queued');
  return newestFirst.find(({ id }) => id === wanted) ?? running ?? newestFirst[0] ?? null;
}

async function followOne(place: Place, machine: MachineEntry, runner: RunnerClient, context: RunContext, follow: boolean, tell: OnTopEvent): Promise<void> {
  const parts = followJob({
    connect: async () => runner,
    release: async () => {},
    jobId: place.id,
    logOffset: place.logOffset,
    errOffset: place.errOffset,
    record: place.record,
    follow,
    clock: context.clock,
    signal: context.signal,
    isOver: () => isMachineOver(machine, context),
    onLink: () => {},
    giveUpAfterMs: 0, // the connection is not ours
  });
  for await (const part of parts) {
    context.signal.throwIfAborted(); // it would be dropped: the next connection brings it again
    if (part.type !== 'record' && part.type !== 'log') continue;
    const told = tell(part);
    if (part.type === 'record') place.record = part.record.n;
    else place[part.stream === 'out' ? 'logOffset' : 'errOffset'] = part.offset + part.bytes.length;
    await told;
  }
}

export async function tellMachine(seen: MachineEntry, context: RunContext, tell: OnTopEvent): Promise<void> {
  const machine = context.ledger.get(seen.id) ?? seen; // its deadline may have been moved
  await tell({ type: 'machine', at: context.clock.now(), machine, spentUsd: spentBy(machine, context), budget: budgetUse(machine, context) });
}

/** The ledger hears of what has changed. */
function noteChanges(jobs: readonly JobSummary[], machine: MachineEntry, context: RunContext): void {
  for (const summary of jobs) {
    const known = context.ledger.getJob(jobIdOf(summary.id));
    if (known?.machineId === machine.id && runnerJobId(known) === summary.id && known.state !== summary.state) noteSummary(known, summary, context);
  }
}
