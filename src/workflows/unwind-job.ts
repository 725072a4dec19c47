/** What is done when following a job ends before the job does. */
import { LeaveRunning, toGpuRunError } from '../core/errors.ts';
import type { JobEntry } from '../core/job.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import { OutputsNotPulled } from './after-job.ts';
import { noteNotAgain } from './between-attempts.ts';
import { cancelJob } from './cancel.ts';
import { type RunContext, uninterrupted } from './context.ts';
import { endClaimed, saveAndEnd } from './down.ts';
import { rescueOutputs } from './fetch-outputs.ts';
import { followFrom } from './follow-from.ts';
import type { OnJobEvent } from './job-event.ts';
import { closeNeverRan, noteUnawaited } from './keep-job.ts';
import { rescueLastCheckpoints } from './last-checkpoints.ts';
import { endIfLast } from './last-one.ts';
import { isGone, reachMachine } from './reach-machine.ts';
import { stamps, type TrainInput } from './train-input.ts';
import type { Watched } from './watch-events.ts';

export interface Unfinished {
  /** null: the machine has not said that it has it. */
  readonly job: JobEntry | null;
  /** Sent, whether it has arrived or not; null: nobody has heard of it. */
  readonly ordered: JobEntry | null;
  /** The attempt before; null: this is the first. */
  readonly before: JobEntry | null;
  readonly takeDown: boolean;
  readonly input: TrainInput;
  readonly machine: MachineEntry;
  readonly watched: Watched;
}

const withdrawWithinMs = 30_000;

/** What is the matter leaves open whether a job that was being sent has arrived. */
function mayHaveArrived(error: unknown): boolean {
  const { code } = toGpuRunError(error);
  return code === 'connection' || code === 'protocol';
}

/** A job that may run unasked: nobody knows whether it has arrived on the machine, which stays. null: there is none. */
export async function unwind(error: unknown, unfinished: Unfinished, context: RunContext): Promise<JobEntry | null> {
  if (context.signal.reason instanceof LeaveRunning || error instanceof OutputsNotPulled) return null;
  const { job, ordered, before, takeDown, input, machine, watched } = unfinished;
  const { code, message: reason } = toGpuRunError(error);
  if (code !== 'interrupted' && !isGone(error) && job !== null) return null; // the job goes on without us, and its machine with it
  const calm = uninterrupted(context);
  let answers = false;
  if (job !== null && code === 'interrupted') {
    answers = await cancelAndShow(job, unfinished, calm);
    await rescueOutputs(job, input, machine, calm);
    await rescueLastCheckpoints(context.ledger.getJob(job.id) ?? job, input, machine, watched, calm);
  }
  if (isGone(error)) {
    if (takeDown) await endClaimed(machine, reason, calm);
    return null;
  }
  const isUnsure = job === null && mayHaveArrived(error);
  if (job === null && ordered !== null && !isUnsure) await withdraw(ordered, error, input, calm);
  // First: of two that give up at the same time each would leave the machine to the other.
  const known = job ?? ordered ?? before;
  if (known !== null) {
    noteUnawaited(known, context);
    noteNotAgain(known, context);
  }
  const isDown = takeDown && (await endIfLast({ job: known, machine, input, reason, end: answers ? saveAndEnd : endClaimed }, calm));
  return isUnsure && !isDown ? ordered : null;
}

/** Nobody wants it any more, and the machine may have heard of it. */
async function withdraw(job: JobEntry, error: unknown, { graceMs }: TrainInput, context: RunContext): Promise<void> {
  try {
    await cancelJob(job, graceMs, { ...context, signal: AbortSignal.timeout(withdrawWithinMs) });
  } catch (failure) {
    if (toGpuRunError(failure).code === 'not-found') closeNeverRan(job, error, context);
  }
}

/**
 * What the job says while it saves and ends is shown like the rest. Where it can't be cancelled the teardown ends it, or says that it
 * can't. False: it could not, the machine may be dead.
 */
async function cancelAndShow(job: JobEntry, { input, machine, watched }: Unfinished, context: RunContext): Promise<boolean> {
  context.reporter.report({ type: 'note', level: 'warn', text: `Interrupted: cancelling ${job.id}` });
  try {
    const cancelled = cancelJob(job, input.graceMs, context);
    cancelled.catch(() => {}); // awaited below, unless the machine can't be reached at all
    const first = await reachMachine(machine, context);
    const onlyLog: OnJobEvent = (event) => (event.type === 'log' ? watched.onEvent(event) : undefined);
    const { out: logOffset, err: errOffset } = watched.logEnds;
    await followFrom({ job, machine, logOffset, errOffset, record: 0, follow: true, sends: false, first, ...stamps(input) }, context, onlyLog);
    await cancelled;
    return true;
  } catch (error) {
    context.reporter.report({ type: 'note', level: 'warn', text: `${job.id} could not be cancelled: ${toGpuRunError(error).message}` });
    return false;
  }
}
