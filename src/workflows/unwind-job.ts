/** What is done when following a job ends before the job does. */
import { LeaveRunning, toGpuRunError } from '../core/errors.ts';
import type { JobEntry } from '../core/job.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import { OutputsNotPulled } from './after-job.ts';
import { cancelJob } from './cancel.ts';
import type { RunContext } from './context.ts';
import { endClaimed, saveAndEnd } from './down.ts';
import { rescueOutputs } from './fetch-outputs.ts';
import { followFrom } from './follow-from.ts';
import type { OnJobEvent } from './job-event.ts';
import { isGone, reachMachine } from './reach-machine.ts';
import { stamps, type TrainInput } from './train-input.ts';
import type { Watched } from './watch-events.ts';

export interface Unfinished {
  readonly job: JobEntry | null;
  readonly takeDown: boolean;
  readonly input: TrainInput;
  readonly machine: MachineEntry;
  readonly watched: Watched;
}

export async function unwind(error: unknown, unfinished: Unfinished, context: RunContext): Promise<void> {
  if (context.signal.reason instanceof LeaveRunning || error instanceof OutputsNotPulled) return;
  const { job, takeDown, input, machine } = unfinished;
  const code = toGpuRunError(error).code;
  if (code !== 'interrupted' && !isGone(error) && job !== null) return; // the job goes on without us, and its machine with it
  const calm: RunContext = { ...context, signal: new AbortController().signal };
  let answers = false;
  if (job !== null && code === 'interrupted') {
    answers = await cancelAndShow(job, unfinished, calm);
    if (input.outputs.length > 0) await rescueOutputs(job, input, machine, calm);
  }
  if (takeDown) await (answers ? saveAndEnd : endClaimed)(machine, toGpuRunError(error).message, calm);
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
