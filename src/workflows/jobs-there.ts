/** Which jobs a machine has, as far as what it says can be believed: a machine is ended by that, and another's job with it. */
import { GpuRunError, toGpuRunError } from '../core/errors.ts';
import { type JobEntry, jobIdOf, runnerJobId } from '../core/job.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import { RemoteError } from '../protocol/call-state.ts';
import type { JobSummary } from '../protocol/job.ts';
import { noteSummary } from './cancel.ts';
import type { RunContext } from './context.ts';
import { copiedPlace } from './copied-place.ts';
import { followFrom } from './follow-from.ts';
import { isGone, reachOrLose } from './reach-machine.ts';

export interface JobsThere {
  /** As its runner calls them: those that it has, or of which it does not say that it has not. */
  readonly ids: ReadonlySet<string>;
  /** Not ended, and nobody here has ever heard of them. */
  readonly strangers: readonly string[];
  /** When the first question was put, milliseconds since the epoch: of what came to it later it says nothing. */
  readonly asked: number;
  /** null: it has told. Else why what it says can't be relied upon. */
  readonly doubt: GpuRunError | null;
}

const mostTries = 3;
const tryAgainMs = 1_000;
/** A machine that does not say who is on it is asked for so long, milliseconds. */
const askWithinMs = 60_000;

/**
 * What is heard of jobs that are known here goes into the ledger. Those of them that have come there and not ended must be among them, and so must `own`, where it has ever begun;
 * `others`: those of the ledger that are asked for one by one where the answer for all makes no sense.
 * @throws GpuRunError as `goneError`; `interrupted`
 */
export async function jobsThere(own: string | null, others: () => readonly JobEntry[], machine: MachineEntry, context: RunContext): Promise<JobsThere> {
  const asked = context.clock.now();
  const all = await limited(context, async (calm) => await askAll(own, machine, calm));
  if (!(all instanceof GpuRunError)) {
    noteTold(all, machine, context);
    const strangers = all.filter(({ id, state }) => state !== 'ended' && context.ledger.getJob(jobIdOf(id)) === null);
    return { ids: new Set(all.map(({ id }) => id)), strangers: strangers.map(({ id }) => id), asked, doubt: null };
  }
  const ids = new Set(others().map(runnerJobId));
  for (const other of all.code === 'connection' ? [] : others()) {
    const heard = await limited(context, async (calm) => await askOne(other, machine, calm));
    if (heard instanceof GpuRunError && heard.code === 'not-found') ids.delete(runnerJobId(other));
  }
  return { ids, strangers: [], asked, doubt: all };
}

/** What was wrong is the outcome. @throws what `jobsThere` throws */
async function limited<T>(context: RunContext, ask: (limited: RunContext) => Promise<T>): Promise<T | GpuRunError> {
  const over = AbortSignal.timeout(askWithinMs);
  try {
    return await ask({ ...context, signal: AbortSignal.any([context.signal, over]) });
  } catch (error) {
    if (context.signal.aborted || (isGone(error) && !isAnswer(error))) throw error;
    return over.aborted ? new GpuRunError('connection', `It has not answered within ${askWithinMs / 1000} s.`, { cause: error }) : toGpuRunError(error);
  }
}

async function askAll(own: string | null, machine: MachineEntry, context: RunContext): Promise<readonly JobSummary[]> {
  for (let tries = 1; ; tries += 1) {
    try {
      await using reached = await reachOrLose(machine, context);
      const due = jobsDue(own, machine, context);
      const { jobs } = await reached.runner.call('jobs', {});
      const [lacking] = lackingOf(due, jobs);
      if (lacking === undefined) return jobs;
      throw new GpuRunError('protocol', `The runner's list of jobs lacks ${lacking.id}, which it has ${lacking.startedAt === null ? 'taken' : 'run'}.`);
    } catch (error) {
      const { code } = toGpuRunError(error);
      if (tries === mostTries || (code !== 'protocol' && code !== 'connection')) throw error;
      await context.clock.sleep(tryAgainMs, context.signal);
    }
  }
}

/** That a machine is gone is for its provider to say, and not for whoever answers on it. */
function isAnswer(error: unknown): boolean {
  return error instanceof GpuRunError && error.cause instanceof RemoteError;
}

/** Into the ledger. A machine has nothing to tell of another one's jobs. */
export function noteTold(jobs: readonly JobSummary[], machine: MachineEntry, context: Pick<RunContext, 'ledger' | 'clock'>): void {
  for (const summary of jobs) {
    const known = context.ledger.getJob(jobIdOf(summary.id));
    if (known?.machineId === machine.id) noteSummary(known, summary, context);
  }
}

/** To its machine, which has told so. */
function hasCome({ startedAt, arrived = false, waitsFor = null }: JobEntry): boolean {
  return startedAt !== null || arrived || waitsFor !== null;
}

/** Which jobs its list has to name: those of which it has told that they ran, or waited. To be read before it is asked. `own`: one that must be there although it has ended. */
export function jobsDue(own: string | null, machine: MachineEntry, { ledger }: Pick<RunContext, 'ledger'>): readonly JobEntry[] {
  return ledger.listJobs({ machineId: machine.id }).filter((job) => hasCome(job) && (job.state !== 'ended' || job.id === own));
}

export function lackingOf(due: readonly JobEntry[], jobs: readonly JobSummary[]): readonly JobEntry[] {
  const there = new Set(jobs.map(({ id }) => id));
  return due.filter((job) => !there.has(runnerJobId(job)));
}

/** Brings its log here as well. @throws GpuRunError `not-found`, and all that keeps it from being asked */
async function askOne(job: JobEntry, machine: MachineEntry, context: RunContext): Promise<void> {
  const first = await reachOrLose(machine, context);
  await followFrom({ ...copiedPlace(job, context), job, machine, first, follow: false, proves: true }, context, () => {});
}
