/** `cancel`: signal, grace, kill of a job's whole process tree. */
import { GpuRunError, toGpuRunError } from '../core/errors.ts';
import { type JobEntry, runnerJobId } from '../core/job.ts';
import type { JobSummary } from '../protocol/job.ts';
import { isToGoOn } from './between-attempts.ts';
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
  const change = (entry: JobEntry | null): JobEntry | null => {
    if (entry === null || entry.end === null || !isToGoOn(entry)) return null;
    const { again: _, retriedBy: __, end, ...known } = entry;
    return { ...known, end: { ...end, reason: 'cancelled', detail: 'it is not started again' } };
  };
  return ledger.changeJob(job.id, change) ?? job;
}

const lookAgainMs = 1_000;

/**
 * One that is known here and not yet there is on its way, or was. Where its machine turns out to be gone, nobody starts it again.
 * @throws GpuRunError `not-found`: it has never arrived; as `goneError`: and nobody would have
 */
async function cancelSent(first: JobEntry, { graceMs, onAsked }: CancelInput, context: RunContext): Promise<JobEntry> {
  for (let job = first; ; ) {
    try {
      return await cancelJob(job, graceMs, context, onAsked);
    } catch (error) {
      const known = heedClock(job.id, context);
      if (isGone(error) && known !== null) {
        const now = cancelNext(known, context);
        if (now.end?.reason === 'cancelled') return now;
        if (now.attempts === job.attempts || now.state === 'ended') throw error;
        job = now; // that is its next attempt
        continue;
      }
      if (toGpuRunError(error).code !== 'not-found' || known === null || !isOnItsWay(known, context)) throw error;
      await context.clock.sleep(lookAgainMs, context.signal);
    }
  }
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
