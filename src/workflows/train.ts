/** `train`: a machine (rented if needed), sync, run, follow, outputs, cost, teardown. */
import { LeaveRunning, toGpuRunError } from '../core/errors.ts';
import type { JobEntry } from '../core/job.ts';
import { newJobId } from '../core/run-id.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { PulledFile } from '../sync/pull.ts';
import { explainWhatStays, jobCost, keepsFor, OutputsNotPulled, othersOn, reachedDeadline } from './after-job.ts';
import { cancelJob } from './cancel.ts';
import type { RunContext } from './context.ts';
import { endClaimed } from './down.ts';
import { preemptedReason } from './end-reason.ts';
import { gpusForJob } from './existing-machine.ts';
import { followFrom } from './follow.ts';
import type { OnJobEvent } from './job-event.ts';
import { pullInto } from './pull.ts';
import { pushAll, type SyncTotals } from './push.ts';
import { goneError, isGone, type ReachedMachine, reachMachine, reachOrLose } from './reach-machine.ts';
import { retryConnection } from './retry-connection.ts';
import type { TrainInput, TrainResult } from './train-input.ts';
import { up } from './up.ts';

export type { TrainInput, TrainResult } from './train-input.ts';

/**
 * Ctrl-C cancels the job, pulls what it saved and applies the teardown; a caller that just leaves (`LeaveRunning`) stops
 * nothing. A job that fails is a result, not an error.
 */
export async function train(input: TrainInput, context: RunContext, onEvent: OnJobEvent): Promise<TrainResult> {
  if (input.attempts > 1) context.reporter.report({ type: 'note', level: 'warn', text: '`retry` is not acted on yet: a machine that is lost ends the job' });
  const { machine } = await up(input.up, context);
  // Also when another train rented it and this job came second: whoever is last takes it down.
  const takeDown = input.teardown === 'down' || (input.teardown === 'auto' && machine.forOneJob);
  const watched = watchEvents(onEvent);
  let submitted: JobEntry | null = null;
  try {
    const reached = await reachOrLose(machine, context);
    let totals: SyncTotals;
    try {
      totals = await pushAll(reached, input.sync, input.outputs, context);
      submitted = await submit(input, reached, context);
    } catch (error) {
      await reached[Symbol.asyncDispose]();
      throw error;
    }
    if (input.detach) {
      await reached[Symbol.asyncDispose]();
      return {
        job: submitted,
        machine,
        machineDown: false,
        sync: totals,
        outputs: [],
        lastMetrics: {},
        cost: jobCost(submitted, machine, context),
        leftovers: [],
      };
    }
    const job = await followFrom(
      { job: submitted, machine, logOffset: 0, record: 0, follow: true, first: reached, ...stamps(input) },
      context,
      watched.onEvent,
    );
    if (job.end?.code !== 0 && (await reachedDeadline(machine, context))) throw goneError(machine, null, context);
    const outputs = await fetchOutputs(job, input, machine, context);
    const preempted = job.end?.reason === 'preempted';
    const stays = preempted ? null : (keepsFor(input, job, outputs, machine) ?? (await othersOn(job, machine, input, context)));
    if (stays !== null) context.reporter.report({ type: 'note', level: 'warn', text: stays });
    const goes = preempted || (takeDown && stays === null);
    const ended = goes ? await endClaimed(machine, preempted ? preemptedReason : `${job.id} ended`, context) : null;
    const after = ended?.machine ?? machine;
    const cost = jobCost(job, after, context);
    return { job, machine: after, machineDown: ended !== null, sync: totals, outputs, lastMetrics: watched.last, cost, leftovers: ended?.leftovers ?? [] };
  } catch (error) {
    await unwind(error, { job: submitted, takeDown, input, machine, watched }, context);
    throw explainWhatStays(error, submitted, takeDown, machine, context);
  }
}

async function submit(input: TrainInput, reached: ReachedMachine, context: RunContext): Promise<JobEntry> {
  const { command, setup, env, secrets, outputs, metrics, graceMs } = input;
  const gpus = gpusForJob(input.up.need, reached.machine.offer);
  const now = context.clock.now();
  const job: JobEntry = {
    id: newJobId(now),
    machineId: reached.machine.id,
    machineName: reached.machine.name,
    command: command.kind === 'shell' ? command.text : command.argv.join(' '),
    state: 'queued',
    end: null,
    attempts: 1,
    createdAt: now,
    startedAt: null,
    endedAt: null,
    asOf: now,
    user: context.user,
    branch: context.branch,
    commit: context.commit ?? null,
    gpus,
  };
  context.ledger.putJob(job); // before the runner hears of it: a job that runs is never unknown here
  context.reporter.report({ type: 'phase', phase: 'run', status: 'begin', text: `Starting ${job.id}` });
  const { ahead } = await reached.runner.call('submit', {
    spec: { id: job.id, attempt: 1, command, setup, env, secrets, outputs, metrics, graceMs, resumeFrom: null, gpus: gpus?.count ?? null, ...logSpec(input) },
  });
  if (ahead > 0 && gpus === null) {
    const jobs = ahead === 1 ? 'the job' : `the ${ahead} jobs`;
    context.reporter.report({ type: 'phase', phase: 'queue', status: 'begin', text: `Waiting for ${jobs} that came first on '${reached.machine.name}'` });
  }
  return job;
}

function logSpec({ splitLog = false, logLimitBytes = null }: TrainInput): { splitLog?: boolean; logLimit?: number } {
  return { ...(splitLog ? { splitLog } : {}), ...(logLimitBytes === null ? {} : { logLimit: logLimitBytes }) };
}

function stamps({ stamped }: TrainInput): Pick<TrainInput, 'stamped'> {
  return stamped === undefined ? {} : { stamped };
}

interface Watched {
  readonly last: Record<string, number>;
  /** How far the logs were shown. */
  readonly logEnds: { readonly out: number; readonly err: number };
  readonly onEvent: OnJobEvent;
}

function watchEvents(onEvent: OnJobEvent): Watched {
  const last: Record<string, number> = {};
  const logEnds = { out: 0, err: 0 };
  return {
    last,
    logEnds,
    onEvent: (event) => {
      if (event.type === 'log') logEnds[event.stream ?? 'out'] = event.offset + event.bytes.length;
      if (event.type === 'metric') {
        Object.assign(last, event.values);
        if (event.step !== null) last['step'] = event.step;
        if (event.epoch !== null) last['epoch'] = event.epoch;
      }
      return onEvent(event);
    },
  };
}

/** Outputs are worth as much as the job: while they can't be pulled, the machine is not taken down. */
async function fetchOutputs(job: JobEntry, input: TrainInput, machine: MachineEntry, context: RunContext): Promise<readonly PulledFile[]> {
  if (input.outputs.length === 0) return [];
  try {
    return await retryConnection(async () => {
      await using reached = await reachOrLose(machine, context);
      return await pullInto(reached, input.outputs, input.folder, context, job.id);
    }, context);
  } catch (error) {
    const failure = toGpuRunError(error);
    if (isGone(failure) || failure.code === 'interrupted') throw failure;
    // Its provider may go on calling it up for a minute after it is dead.
    if (job.end?.reason === 'preempted') throw goneError(machine, preemptedReason, context, error);
    const bills = machine.offer.price.perHour > 0 && machine.forOneJob;
    throw new OutputsNotPulled(
      bills ? 'still-billing' : failure.code,
      `${job.id} ended with exit code ${job.end?.code ?? 'unknown'}, but its outputs could not be pulled: ${failure.message}`,
      {
        cause: error,
        hints: [
          ...failure.hints,
          `gpu-run pull ${machine.name}   tries again; '${machine.name}' stays up until its deadline`,
          `gpu-run down ${machine.name}   ends it without them`,
        ],
      },
    );
  }
}

interface Unfinished {
  readonly job: JobEntry | null;
  readonly takeDown: boolean;
  readonly input: TrainInput;
  readonly machine: MachineEntry;
  readonly watched: Watched;
}

async function unwind(error: unknown, unfinished: Unfinished, context: RunContext): Promise<void> {
  if (context.signal.reason instanceof LeaveRunning || error instanceof OutputsNotPulled) return;
  const { job, takeDown, input, machine } = unfinished;
  const code = toGpuRunError(error).code;
  if (code !== 'interrupted' && !isGone(error) && job !== null) return; // the job goes on without us, and its machine with it
  const calm: RunContext = { ...context, signal: new AbortController().signal };
  if (job !== null && code === 'interrupted') {
    await cancelAndShow(job, unfinished, calm);
    if (input.outputs.length > 0) await rescueOutputs(job, input, machine, calm);
  }
  if (takeDown) await endClaimed(machine, toGpuRunError(error).message, calm);
}

/** What the job says while it saves and ends is shown like the rest. Where it can't be cancelled the teardown ends it, or says that it can't. */
async function cancelAndShow(job: JobEntry, { input, machine, watched }: Unfinished, context: RunContext): Promise<void> {
  context.reporter.report({ type: 'note', level: 'warn', text: `Interrupted: cancelling ${job.id}` });
  try {
    const cancelled = cancelJob(job, input.graceMs, context);
    cancelled.catch(() => {}); // awaited below, unless the machine can't be reached at all
    const first = await reachMachine(machine, context);
    const onlyLog: OnJobEvent = (event) => (event.type === 'log' ? watched.onEvent(event) : undefined);
    await followFrom(
      { job, machine, logOffset: watched.logEnds.out, errOffset: watched.logEnds.err, record: 0, follow: true, first, ...stamps(input) },
      context,
      onlyLog,
    );
    await cancelled;
  } catch (error) {
    context.reporter.report({ type: 'note', level: 'warn', text: `${job.id} could not be cancelled: ${toGpuRunError(error).message}` });
  }
}

async function rescueOutputs(job: JobEntry, input: TrainInput, machine: MachineEntry, context: RunContext): Promise<void> {
  try {
    await using reached = await reachMachine(machine, context);
    await pullInto(reached, input.outputs, input.folder, context, job.id);
  } catch (error) {
    context.reporter.report({ type: 'note', level: 'warn', text: `Outputs could not be pulled: ${toGpuRunError(error).message}` });
  }
}
