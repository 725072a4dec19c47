/** What a job has made, at its end. */
import { formatDuration } from '../core/duration.ts';
import { toGpuRunError } from '../core/errors.ts';
import type { JobEntry } from '../core/job.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { PulledFile } from '../sync/pull.ts';
import { OutputsNotPulled } from './after-job.ts';
import type { RunContext } from './context.ts';
import { preemptedReason } from './end-reason.ts';
import { pullInto } from './pull.ts';
import { goneError, isGone, type ReachedMachine, reachMachine, reachOrLose } from './reach-machine.ts';
import { retryConnection } from './retry-connection.ts';
import type { TrainInput } from './train-input.ts';

export interface Made<T> {
  /** In sentences, without the job: `outputs`. */
  readonly what: string;
  /** What `gpu-run pull NAME` needs to be told to bring it. */
  readonly paths: readonly string[];
  /** Safe to repeat; what has come need not come again. */
  readonly pull: (reached: ReachedMachine, context: RunContext) => Promise<T>;
}

export async function fetchOutputs(job: JobEntry, input: TrainInput, machine: MachineEntry, context: RunContext): Promise<readonly PulledFile[]> {
  return input.outputs.length === 0 ? [] : await bringHome(outputsOf(job, input), job, machine, context);
}

/** Of a job that was interrupted: as far as it goes. */
export async function rescueOutputs(job: JobEntry, input: TrainInput, machine: MachineEntry, context: RunContext): Promise<void> {
  if (input.outputs.length > 0) await rescue(outputsOf(job, input), machine, context);
}

function outputsOf(job: JobEntry, { outputs, folder }: TrainInput): Made<readonly PulledFile[]> {
  return { what: 'outputs', paths: [], pull: (reached, context) => pullInto(reached, outputs, folder, context, job) };
}

/** What a job has made is worth as much as the job: while it can't be pulled, or nobody wants to wait for it, the machine is not taken down. */
export async function bringHome<T>({ what, paths, pull }: Made<T>, job: JobEntry, machine: MachineEntry, context: RunContext): Promise<T> {
  try {
    return await retryConnection(() => bringNow(pull, machine, context), context);
  } catch (error) {
    const failure = toGpuRunError(error);
    if (isGone(failure) || (failure.code === 'interrupted' && job.end?.reason === 'preempted')) throw failure;
    // Its provider may go on calling it up for a minute after it is dead.
    if (job.end?.reason === 'preempted') throw goneError(machine, preemptedReason, context, error);
    const bills = machine.offer.price.perHour > 0 && machine.forOneJob;
    if (machine.forOneJob) context.ledger.note(machine.id, { fact: 'kept' }); // no other job takes it down either
    throw new OutputsNotPulled(
      bills ? 'still-billing' : failure.code,
      `${job.id} ended with exit code ${job.end?.code ?? 'unknown'}, but its ${what} could not be pulled: ${failure.message}`,
      {
        cause: error,
        hints: [
          ...failure.hints,
          `${['gpu-run pull', machine.name, ...paths].join(' ')}   tries again; '${machine.name}' stays up until ${untilWhen(machine)}`,
          `gpu-run down ${machine.name}   ends it without them`,
        ],
      },
    );
  }
}

/** Whoever comes back too late for it has lost what it holds. */
function untilWhen({ idleSeconds }: MachineEntry): string {
  return idleSeconds === null ? 'its deadline' : `it was idle for ${formatDuration(idleSeconds)}, or its deadline`;
}

async function bringNow<T>(pull: Made<T>['pull'], machine: MachineEntry, context: RunContext): Promise<T> {
  try {
    await using reached = await reachOrLose(machine, context);
    return await pull(reached, context);
  } catch (error) {
    throw context.signal.aborted && !isGone(error) ? context.signal.reason : error; // that is what has broken the connection
  }
}

export async function rescue<T>({ what, pull }: Made<T>, machine: MachineEntry, context: RunContext): Promise<void> {
  try {
    await using reached = await reachMachine(machine, context);
    await pull(reached, context);
  } catch (error) {
    const text = `${what.charAt(0).toUpperCase()}${what.slice(1)} could not be pulled: ${toGpuRunError(error).message}`;
    context.reporter.report({ type: 'note', level: 'warn', text });
  }
}
