/** `cancel`: signal, grace, kill of a job's whole process tree. */
import { GpuRunError, toGpuRunError } from '../core/errors.ts';
import { type JobEntry, runnerJobId } from '../core/job.ts';
import type { JobSummary } from '../protocol/job.ts';
import { asCancelled, isToGoOn } from './between-attempts.ts';
import type { RunContext } from './context.ts';
import { machineOf } from './find.ts';
import { heedClock, isOnItsWay, keepJob } from './keep-job.ts';
import { isGone, reachOrLose } from './reach-machine.ts';
import { besideRecovery } from './recover.ts';

export interface CancelInput {
  readonly jobId: string;
  /** Milliseconds between the signal and SIGKILL; null: as the job was given. */
  readonly graceMs: number | null;
  /** Called when the machine is asked: it goes on with it, whatever becomes of the connection. */
  readonly onAsked?: () => void;
}

/** Returns when no process of the job is left. A job that has ended already is returned as it is. */
export async function cancel(input: CancelInput, context: RunContext): Promise<JobEntry> {
  const job = context.ledger.getJob(input.jobId);
  if (job === null) throw new GpuRunError('not-found', `There is no job '${input.jobId}'.`, { hints: ['gpu-run status   lists jobs'] });
  return await besideRecovery(context, async () => {
    const now = job.state === 'ended' ? cancelNext(job, context) : job;
    return now.state === 'ended' ? now : await cancelSent(now, input, context);
  });
}

/** Between two attempts nothing runs: the next one is not made, also when its train does not know of the end yet. Where it has just been made, that one is returned. */
function cancelNext(job: JobEntry, { ledger }: RunContext): JobEntry {
  return ledger.changeJob(job.id, (entry) => (entry !== null && isToGoOn(entry) ? asCancelled(entry) : null)) ?? job;
}

const lookAgainMs = 1_000;

/**
 * One that is known here and not yet there is on its way, or was. That its end is wanted is written down first: should its machine turn out to be
 * gone, nobody starts it again. @throws GpuRunError `not-found`: it has never arrived; as `goneError`: and nobody would have
 */
async function cancelSent(first: JobEntry, { graceMs, onAsked }: CancelInput, context: RunContext): Promise<JobEntry> {
  let isBroken = false;
  for (let job = first; ; ) {
    noteAsked(job, true, context);
    try {
      return await cancelJob(job, graceMs, context, onAsked);
    } catch (error) {
      if (isGone(error)) {
        job = afterGone(job, error, context);
        if (job.state === 'ended') return job;
        continue;
      }
      const { code } = toGpuRunError(error);
      if (code === 'not-found' && isStillComing(job, context)) {
        await context.clock.sleep(lookAgainMs, context.signal);
        continue;
      }
      if (isBroken || code !== 'connection' || context.signal.aborted) throw notToBe(error, job, context);
      isBroken = true; // the next one, or the provider, tells whether its machine is gone
    }
  }
}

/** The same error. Unless it may have been heard of all the same, the job goes on as if nobody had wanted its end. */
function notToBe(error: unknown, job: JobEntry, context: RunContext): unknown {
  const { code } = toGpuRunError(error);
  if (code !== 'connection' && code !== 'interrupted') noteAsked(job, false, context);
  return error;
}

/** That it is not started again, or the next attempt, which has to be cancelled then. @throws `error`: nobody would have started it */
function afterGone(job: JobEntry, error: unknown, context: RunContext): JobEntry {
  const known = context.ledger.getJob(job.id);
  const now = known === null ? job : cancelNext(known, context);
  if (now.end?.reason === 'cancelled' || (now.attempts > job.attempts && now.state !== 'ended')) return now;
  throw error;
}

function isStillComing({ id }: JobEntry, context: RunContext): boolean {
  const known = heedClock(id, context);
  return known !== null && isOnItsWay(known, context);
}

function noteAsked({ id }: JobEntry, isAsked: boolean, { ledger }: RunContext): void {
  ledger.changeJob(id, (entry) => {
    if (entry === null || entry.state === 'ended') return null;
    const { cancelAsked = false, ...known } = entry;
    if (cancelAsked === isAsked) return null;
    return isAsked ? { ...known, cancelAsked: true } : known;
  });
}

export async function cancelJob(job: JobEntry, graceMs: number | null, context: RunContext, onAsked?: () => void): Promise<JobEntry> {
  await using reached = await reachOrLose(machineOf(job, context), context);
  const answer = reached.runner.call('cancel', { id: runnerJobId(job), graceMs });
  onAsked?.();
  const summary = await answer;
  return noteSummary(job, summary, context);
}

/** What the runner says about a job, kept in the ledger. */
export function noteSummary(job: JobEntry, summary: JobSummary, context: Pick<RunContext, 'ledger' | 'clock'>): JobEntry {
  if (summary.id !== runnerJobId(job)) return job; // an earlier attempt, on the same machine
  const { state, end, startedAt, endedAt, givenGpus, waitsFor } = summary;
  return keepJob({ ...job, state, end, startedAt, endedAt, givenGpus, waitsFor, asOf: context.clock.now() }, context);
}
