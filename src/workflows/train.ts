/** `train`: a machine (rented if needed), sync, run, follow, outputs, cost, teardown; and all that again where the machine was lost. */
import { join } from 'node:path';
import { LeaveRunning, toGpuRunError } from '../core/errors.ts';
import type { JobEntry } from '../core/job.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import { shownArgv } from '../transport/quote.ts';
import { noteNotAgain } from './between-attempts.ts';
import { checkpointStore } from './checkpoint-store.ts';
import { clearOldCheckpoints, renewCheckpoints } from './clear-checkpoints.ts';
import { type RunContext, uninterrupted } from './context.ts';
import { withJobHints } from './gone-hints.ts';
import { holdMachine, upAndHold } from './hold-machine.ts';
import type { OnJobEvent } from './job-event.ts';
import { endIfLast } from './last-one.ts';
import { layMetrics } from './lay-metrics.ts';
import { machineForNext, whyAgain } from './next-attempt.ts';
import { areOutputs, checkpointsOf, fetchedFolder, handOverCheckpoints } from './resume-job.ts';
import { type AttemptOutcome, runAttempt } from './train-attempt.ts';
import type { TrainInput, TrainResult } from './train-input.ts';
import { watchEvents } from './watch-events.ts';

export type { TrainInput, TrainResult } from './train-input.ts';

/**
 * Ctrl-C cancels the job, pulls what it saved and applies the teardown; a caller that just leaves (`LeaveRunning`) stops
 * nothing. A job that fails is a result, not an error. One that was preempted or lost is started again as `input.retry` says.
 */
export async function train(input: TrainInput, context: RunContext, onEvent: OnJobEvent): Promise<TrainResult> {
  const { retry } = input;
  if (input.detach && retry.attempts > 1) {
    const text = '`retry` needs somebody who stays: a job that is only handed over (--detach, `machine.train` of the SDK) is not started again when it is lost';
    context.reporter.report({ type: 'note', level: 'warn', text });
  }
  renewCheckpoints(context, input.startFrom);
  if (retry.attempts > 1 || input.outputs.length === 0) clearOldCheckpoints(context, input.startFrom);
  const watched = watchEvents(onEvent);
  let { machine, hold }: { machine: MachineEntry; hold: Disposable | null } = await upAndHold(input.up, context);
  let before: JobEntry | null = null;
  const inVain: string[] = [];
  for (let n = 1; ; n += 1) {
    renewCheckpoints(context, input.startFrom); // a machine may take days to come
    const mayGoOn = ({ end }: JobEntry) => n < retry.attempts && !input.detach && retry.on.some((reason) => reason === end?.reason);
    const outcome: AttemptOutcome = await runAttempt({ input, machine, hold, before, inVain, mayGoOn, watched }, context);
    const why = whyAgain(outcome, machine, input, context);
    if (why === null || n >= retry.attempts) {
      if (why !== null && retry.attempts > 1)
        context.reporter.report({ type: 'note', level: 'warn', text: `That was attempt ${n} of ${retry.attempts}: the job is not started again` });
      const laid = await layMetrics(outcome, input, context);
      if (outcome.job !== null) {
        noteNotAgain(outcome.job, context);
        await leaveCheckpoints(outcome.job, outcome.failure === null, input, context);
      }
      if (outcome.failure !== null) throw withJobHints(outcome.failure, outcome.job, context);
      return { ...outcome.result, outputs: [...outcome.result.outputs, ...laid] };
    }
    if (outcome.job === before) inVain.push(machine.id);
    before = outcome.job;
    machine = await next(n + 1, why, machine, outcome, input, context);
    hold = await holdMachine(machine, context);
  }
}

/** What was fetched of them is not thrown away before the job has done its work. `pulled`: its outputs are here, which are newer. */
async function leaveCheckpoints(job: JobEntry, pulled: boolean, input: TrainInput, context: RunContext): Promise<void> {
  const store = checkpointStore(context.home.jobs, job.id);
  const newest = store.newest();
  if (newest === null || context.ledger.getJob(job.id)?.state !== 'ended') return; // whoever began another one from it while this one goes on would pay twice
  const isElsewhere = input.outputs.length > 0 || input.retry.resumeFrom !== null; // else what was fetched is all there is of them
  if (pulled && isElsewhere && job.end?.reason === 'exit' && job.end.code === 0) return store.clear();
  const calm = uninterrupted(context);
  const handedOver = pulled ? areOutputs(input, job) : await handOverCheckpoints(job, input, calm).catch(() => false);
  const where =
    pulled && handedOver ? join(input.folder, checkpointsOf(input, job)) : join(handedOver ? input.folder : newest, fetchedFolder(newest, input, job));
  context.reporter.report({ type: 'note', level: 'info', text: `The last checkpoint that was fetched is in ${where}. To go on from it:` });
  context.reporter.report({ type: 'note', level: 'info', text: `  ${shownArgv(['gpu-run', 'train', '--start-from', where])}` });
}

/** When there is no next attempt after all, nothing of the last one is left up. */
async function next(n: number, why: 'preempted' | 'lost', last: MachineEntry, { job, failure }: AttemptOutcome, input: TrainInput, context: RunContext) {
  try {
    return await machineForNext(n, why, last, job, input, context);
  } catch (error) {
    if (job !== null) {
      noteNotAgain(job, context);
      await layMetrics({ job: context.ledger.getJob(job.id), failure }, input, context);
      await leaveCheckpoints(job, false, input, context);
    }
    const known = context.ledger.get(last.id) ?? last;
    const takeDown = input.teardown === 'down' || (input.teardown === 'auto' && known.forOneJob);
    const leaves = context.signal.reason instanceof LeaveRunning;
    if (takeDown && known.state !== 'gone' && !leaves) {
      const reason = toGpuRunError(error).message;
      await endIfLast({ job, machine: known, input, reason }, uninterrupted(context));
    }
    const stays = (leaves || !takeDown) && known.state !== 'gone' ? `'${known.name}' stays up: gpu-run down ${known.name}   ends it` : null;
    if (stays !== null) context.reporter.report({ type: 'note', level: 'warn', text: stays });
    throw error;
  }
}
