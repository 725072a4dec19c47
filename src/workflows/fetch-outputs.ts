/** Outputs at the end of a job. */
import { toGpuRunError } from '../core/errors.ts';
import type { JobEntry } from '../core/job.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { PulledFile } from '../sync/pull.ts';
import { OutputsNotPulled } from './after-job.ts';
import type { RunContext } from './context.ts';
import { preemptedReason } from './end-reason.ts';
import { pullInto } from './pull.ts';
import { goneError, isGone, reachMachine, reachOrLose } from './reach-machine.ts';
import { retryConnection } from './retry-connection.ts';
import type { TrainInput } from './train-input.ts';

/** Outputs are worth as much as the job: while they can't be pulled, the machine is not taken down. */
export async function fetchOutputs(job: JobEntry, input: TrainInput, machine: MachineEntry, context: RunContext): Promise<readonly PulledFile[]> {
  if (input.outputs.length === 0) return [];
  try {
    return await retryConnection(async () => {
      await using reached = await reachOrLose(machine, context);
      return await pullInto(reached, input.outputs, input.folder, context, job);
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

/** Of a job that was interrupted: as far as it goes. */
export async function rescueOutputs(job: JobEntry, input: TrainInput, machine: MachineEntry, context: RunContext): Promise<void> {
  try {
    await using reached = await reachMachine(machine, context);
    await pullInto(reached, input.outputs, input.folder, context, job);
  } catch (error) {
    context.reporter.report({ type: 'note', level: 'warn', text: `Outputs could not be pulled: ${toGpuRunError(error).message}` });
  }
}
