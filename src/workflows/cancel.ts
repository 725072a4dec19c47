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
export async function cancel({ jobId, graceMs, onAsked }: CancelInput, context: RunContext): Promise<JobEntry> {
  const known = context.ledger.getJob(jobId);
  if (known === null) throw new GpuRunError('not-found', `There is no job '${jobId}'.`, { hints: ['gpu-run status   lists jobs'] });
  return await besideRecovery(context, async () => {
    for (let job = known; ; ) {
      const { job: present, isNew } = noteWish(job, context);
      if (isNextOf(present, job)) {
        job = present;
        continue;
      }
      if (present.state === 'ended') return present;
      const heard = await cancelAttempt(present, isNew, { graceMs, ...(onAsked === undefined ? {} : { onAsked }) }, context);
      if (!isNextOf(heard, present)) return heard;
      job = heard;
    }
  });
}

function isNextOf(heard: JobEntry, job: JobEntry): boolean {
  return heard.attempts > job.attempts && heard.state !== 'ended';
}

const lookAgainMs = 1_000;
/** What a machine answers that has not taken the order. */
const refusals: ReadonlySet<string> = new Set<GpuRunError['code']>(['not-found', 'bad-input', 'disk-full']);

/**
 * One that is known here and not yet there is on its way, or was. `isNew`: nobody else has wished its end before. Unless its machine may have heard of
 * the wish, the job goes on after a failure as if nobody had had it. Returns the next attempt where that has begun meanwhile.
 * @throws GpuRunError `not-found`: it has never arrived; as `goneError`: and nobody would have started it again
 */
async function cancelAttempt(job: JobEntry, isNew: boolean, { graceMs, onAsked }: Omit<CancelInput, 'jobId'>, context: RunContext): Promise<JobEntry> {
  let mayKnow = false;
  const asked = () => {
    mayKnow = true;
    // Again: somebody else who has failed may have taken it back.
    if (context.ledger.getJob(job.id)?.attempts === job.attempts) noteWish(job, context);
    onAsked?.();
  };
  const refused = () => {
    mayKnow = false;
  };
  try {
    return await askUntilHeard(job, graceMs, { asked, refused }, context);
  } catch (error) {
    if (isGone(error)) return afterGone(job, error, context);
    if (isNew && !mayKnow) takeBack(job, context);
    throw error;
  }
}

async function askUntilHeard(job: JobEntry, graceMs: number | null, on: { asked(): void; refused(): void }, context: RunContext): Promise<JobEntry> {
  for (let isBroken = false; ; ) {
    try {
      const heard = await cancelJob(job, graceMs, context, on.asked);
      return heard.state === 'ended' ? noteWish(heard, context).job : heard;
    } catch (error) {
      const { code } = toGpuRunError(error);
      if (refusals.has(code)) on.refused();
      if (code === 'not-found' && isStillComing(job, context)) {
        await context.clock.sleep(lookAgainMs, context.signal);
        continue;
      }
      if (isBroken || code !== 'connection' || context.signal.aborted) throw error;
      isBroken = true; // the next one, or the provider, tells whether its machine is gone
    }
  }
}

/**
 * In one step: should its machine be lost, or turn out to be gone, nobody starts it again. Between two attempts nothing
 * runs: the next one is not made, also when its train does not know of the end yet. Where it has just been made, that one is returned.
 * `isNew`: nobody has wished so before.
 */
function noteWish(job: JobEntry, { ledger }: RunContext): { readonly job: JobEntry; readonly isNew: boolean } {
  let isNew = false;
  const now = ledger.changeJob(job.id, (entry) => {
    if (entry === null) return null;
    if (entry.state === 'ended') return isToGoOn(entry) ? asCancelled(entry) : null;
    if (isNextOf(entry, job)) return null; // it is asked by itself
    isNew = entry.cancelAsked !== true;
    return isNew ? { ...entry, cancelAsked: true } : null;
  });
  return { job: now ?? job, isNew };
}

/** Of this attempt alone: the next one has heard of no wish. */
function takeBack({ id, attempts }: JobEntry, { ledger }: RunContext): void {
  ledger.changeJob(id, (entry) => {
    if (entry === null || entry.state === 'ended' || entry.attempts !== attempts) return null;
    const { cancelAsked = false, ...known } = entry;
    return cancelAsked ? known : null;
  });
}

/** That it is not started again, or the next attempt, which has to be cancelled then. @throws `error`: nobody would have started it */
function afterGone(job: JobEntry, error: unknown, context: RunContext): JobEntry {
  const { job: now } = noteWish(job, context);
  if (now.end?.reason === 'cancelled' || isNextOf(now, job)) return now;
  throw error;
}

function isStillComing({ id }: JobEntry, context: RunContext): boolean {
  const known = heedClock(id, context);
  return known !== null && isOnItsWay(known, context);
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
