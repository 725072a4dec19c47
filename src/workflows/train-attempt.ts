/** One attempt of a job: sync, run, follow, outputs, and the machine's end where it is due. */
import { type GpuRunError, toGpuRunError } from '../core/errors.ts';
import type { JobEntry } from '../core/job.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import { explainWhatStays, keepsFor, madeNothing, reachedDeadline } from './after-job.ts';
import { costOfAttempts } from './attempts-cost.ts';
import { noteAgain, noteLeft, noteNotAgain, throwIfCancelled } from './between-attempts.ts';
import type { RunContext } from './context.ts';
import { saveAndEnd } from './down.ts';
import { isCutShort, jobEndedReason, preemptedReason } from './end-reason.ts';
import { fetchCheckpoints } from './fetch-checkpoints.ts';
import { fetchOutputs } from './fetch-outputs.ts';
import { followFrom } from './follow-from.ts';
import type { OnJobEvent } from './job-event.ts';
import { noteUnawaited } from './keep-job.ts';
import { fetchLastCheckpoints } from './last-checkpoints.ts';
import { othersOn, whoCame } from './last-one.ts';
import { sendMetrics } from './mlflow-send.ts';
import { claimFor, planJob } from './plan-job.ts';
import { pushAll, readAhead } from './push.ts';
import type { SyncTotals } from './push-once.ts';
import { goneError, isGone, type ReachedMachine, reachOrLose } from './reach-machine.ts';
import { bringCheckpoints, checkpointsOf, handOverCheckpoints } from './resume-job.ts';
import { orderJob, submitJob } from './submit-job.ts';
import { stamps, type TrainInput, type TrainResult } from './train-input.ts';
import { unwind } from './unwind-job.ts';
import type { Watched } from './watch-events.ts';

export interface AttemptPlan {
  readonly input: TrainInput;
  readonly machine: MachineEntry;
  /** Keeps it up until the job is in the ledger; disposed here. null: it has ended. */
  readonly hold: Disposable | null;
  /** The attempt before; null: this is the first. */
  readonly before: JobEntry | null;
  /** Ids of machines that were lost before the job got there. */
  readonly inVain: readonly string[];
  /** Another attempt follows when this one is lost: its machine is not ended for that. */
  readonly mayGoOn: (job: JobEntry) => boolean;
  readonly watched: Watched;
}

export type AttemptOutcome =
  | { readonly failure: null; readonly job: JobEntry; readonly result: TrainResult }
  /** `job`: null when it came to none. What had to be undone is undone. */
  | { readonly failure: GpuRunError; readonly job: JobEntry | null };

const mostTries = 3;

/** Also on a machine that is lost under the job: that is an outcome. @throws GpuRunError what else keeps the caller from knowing how it ended */
export async function runAttempt(plan: AttemptPlan, context: RunContext): Promise<AttemptOutcome> {
  const { input, machine, before, watched } = plan;
  using hold = plan.hold;
  // Also when another train rented it and this job came second: whoever is last takes it down.
  const takeDown = input.teardown === 'down' || (input.teardown === 'auto' && machine.forOneJob);
  let ordered: JobEntry | null = null;
  let submitted: JobEntry | null = null;
  let sending: AsyncDisposable | null = null;
  try {
    const noteOrdered = (job: JobEntry) => {
      ordered = job;
      hold?.[Symbol.dispose]();
      // From now on it is as one that `up` has made: no other job takes it down. Before, it would stay for nothing.
      if (input.teardown === 'keep' && machine.forOneJob) context.ledger.note(machine.id, { fact: 'kept' });
    };
    const { job, totals, reached } = await begin(plan, noteOrdered, context);
    submitted = job;
    if (input.detach) {
      await reached[Symbol.asyncDispose]();
      const none = { machineDown: false, outputs: [], lastMetrics: {}, leftovers: [] };
      return { failure: null, job, result: { ...none, job, machine, sync: totals, cost: costOfAttempts(job, machine, context, plan.inVain) } };
    }
    sending = sendMetrics(job, context); // a server that is slow to take them must not hold up the machine's end
    const ended = await followToEnd(job, reached, plan, context);
    return { failure: null, job: ended, result: await finish(ended, { ...plan, totals, takeDown }, context) };
  } catch (error) {
    const known = submitted ?? ordered;
    let isUnwound = false;
    let unsure: JobEntry | null = null;
    hold?.[Symbol.dispose](); // of two that give up at the same time each would leave the machine to the other
    try {
      unsure = await unwind(error, { job: submitted, ordered, before, takeDown, input, machine, watched }, context);
      isUnwound = true;
    } finally {
      if (known !== null) noteLeft(known, isUnwound && isGone(error) && plan.mayGoOn(context.ledger.getJob(known.id) ?? known), context);
    }
    const failure = toGpuRunError(explainWhatStays(error, submitted ?? unsure, takeDown, machine, context));
    const isOrderLost = submitted === null && isGone(error); // its next attempt is one of the same job
    const job = isOrderLost ? known : submitted;
    return { failure, job: job === null ? before : (context.ledger.getJob(job.id) ?? job) };
  } finally {
    await sending?.[Symbol.asyncDispose]();
  }
}

/** Its checkpoints come meanwhile. @throws also when the caller wants to leave a job that was cut short: its machine may not wait for a next attempt */
async function followToEnd(job: JobEntry, first: ReachedMachine, { input, machine, watched, mayGoOn }: AttemptPlan, context: RunContext): Promise<JobEntry> {
  await using fetcher = input.retry.attempts > 1 ? fetchCheckpoints(job, machine, checkpointsOf(input, job), context) : null;
  const onEvent: OnJobEvent = (event) => {
    fetcher?.heard(event);
    return watched.onEvent(event);
  };
  const ended = await followFrom({ job, machine, logOffset: 0, record: 0, follow: true, sends: false, first, ...stamps(input) }, context, onEvent);
  if (fetcher === null || !isCutShort(ended)) return ended;
  if (mayGoOn(ended)) noteAgain(ended, context);
  await fetcher.finish();
  return ended;
}

async function begin({ input, machine, before }: AttemptPlan, onOrdered: (job: JobEntry) => void, context: RunContext) {
  const outputs = [...input.outputs, ...(input.retry.resumeFrom === null ? [] : [input.retry.resumeFrom])];
  const sources = { sync: input.sync, outputs, sizeMeant: input.sizeMeant ?? false };
  using reading = readAhead(sources, machine, context);
  let reached = await reachOrLose(machine, context);
  const stubbornly = async <T>(step: () => Promise<T>): Promise<T> => {
    for (let tries = 1; ; tries += 1) {
      try {
        return await step();
      } catch (error) {
        if (toGpuRunError(error).code !== 'connection' || tries === mostTries) throw error;
        await reached[Symbol.asyncDispose]();
        reached = await reachOrLose(machine, context);
      }
    }
  };
  try {
    const totals = await pushAll(reached, sources, context, reading);
    using first = claimFor(before, input, machine, context);
    const planned = await stubbornly(() => planJob(input, before, reached, first, context));
    // Before anybody hears of the job, and never again: once it may run, what lies there is its own.
    const resumeFrom = await stubbornly(() => bringCheckpoints(before, planned, input, reached, context));
    throwIfCancelled(before, context);
    const job = orderJob(planned, before, input, machine, context, first?.isOurs);
    onOrdered(job);
    await stubbornly(() => submitJob(job, input, resumeFrom, reached, context)); // it may have arrived: it starts nothing twice
    return { totals, reached, job };
  } catch (error) {
    await reached[Symbol.asyncDispose]();
    throw await whyBroken(error, machine, context);
  }
}

/** A connection that breaks tells nothing of its machine: the next one, or the provider, does. */
async function whyBroken(error: unknown, machine: MachineEntry, context: RunContext): Promise<unknown> {
  if (toGpuRunError(error).code !== 'connection') return error;
  if (context.signal.aborted) return context.signal.reason; // that is what has broken it
  try {
    await using _there = await reachOrLose(machine, context);
    return error;
  } catch (later) {
    return isGone(later) || context.signal.aborted ? later : error;
  }
}

async function finish(job: JobEntry, ending: AttemptPlan & { totals: SyncTotals; takeDown: boolean }, context: RunContext): Promise<TrainResult> {
  const { input, machine, totals, takeDown, watched } = ending;
  if (job.end?.code !== 0 && (await reachedDeadline(machine, context))) throw goneError(machine, null, context);
  if (isCutShort(job)) {
    await handOver(job, input, context);
    context.signal.throwIfAborted(); // there is no next attempt then that its machine would wait for
  }
  const preempted = job.end?.reason === 'preempted';
  const goesOn = !preempted && ending.mayGoOn(job);
  const outputs = await fetchOutputs(job, input, machine, context);
  if (!ending.mayGoOn(job)) await fetchLastCheckpoints(job, input, machine, watched, context);
  noteUnawaited(job, context);
  if (!ending.mayGoOn(job)) noteNotAgain(job, context); // first, as whoever else is at its end there waits for neither
  let stays = preempted || goesOn ? null : (keepsFor(input, job, machine) ?? (await othersOn(job, machine, input, context)));
  const goes = preempted || (takeDown && stays === null && !goesOn);
  const whyStay = () => (preempted ? null : whoCame(job, machine, input, context));
  const reason = preempted ? preemptedReason : jobEndedReason(job.id);
  const ended = goes ? await saveAndEnd(context.ledger.get(machine.id) ?? machine, reason, context, whyStay) : null;
  stays ??= ended?.stays ?? null;
  warn(stays, context);
  const machineDown = ended !== null && ended.stays === undefined;
  if (machineDown) warn(madeNothing(input, job, outputs, machine), context);
  const after = ended?.machine ?? machine;
  const cost = costOfAttempts(job, after, context, ending.inVain);
  return {
    job,
    machine: after,
    machineDown,
    sync: totals,
    outputs,
    lastMetrics: watched.last,
    cost,
    leftovers: ended?.leftovers ?? [],
  };
}

function warn(text: string | null, { reporter }: RunContext): void {
  if (text !== null) reporter.report({ type: 'note', level: 'warn', text });
}

/** The next attempt needs them in the project no more than this one did. */
async function handOver(job: JobEntry, input: TrainInput, context: RunContext): Promise<void> {
  try {
    await handOverCheckpoints(job, input, context);
  } catch (error) {
    if (context.signal.aborted) throw error;
    const text = `Checkpoints of ${job.id} could not be put into ${input.folder}: ${toGpuRunError(error).message}`;
    context.reporter.report({ type: 'note', level: 'warn', text });
  }
}
