/** What a job is called and where it saves, before anybody hears of it: no two jobs share what one of them goes on from. */
import { posix } from 'node:path';
import type { JobEntry } from '../core/job.ts';
import { newJobId } from '../core/run-id.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import { checkpointStore } from './checkpoint-store.ts';
import type { RunContext } from './context.ts';
import { gpusForJob } from './existing-machine.ts';
import { claimFirst, type FirstCheckpoints, isClaimed } from './first-checkpoints.ts';
import type { ReachedMachine } from './reach-machine.ts';
import { checkpointsOf } from './resume-job.ts';
import type { TrainInput } from './train-input.ts';

/** A job that there is to be: what its checkpoints on their way need to know of it. */
export type PlannedJob = Pick<JobEntry, 'id' | 'checkpoints'>;

/** Where checkpoints are to be sent to a folder that the job does not have for itself: that is claimed. null: they are not. */
export function claimFor(before: JobEntry | null, input: TrainInput, machine: MachineEntry, context: RunContext): FirstCheckpoints | null {
  if (before === null ? gpusForJob(input.up.need, machine.offer) !== null : before.checkpoints !== undefined || before.machineId === machine.id) return null;
  const fetched = before === null ? null : checkpointStore(context.home.jobs, before.id).newest();
  return input.startFrom === undefined && fetched === null ? null : claimFirst(machine, context);
}

/**
 * Nobody else hears of it yet. What it is to go on from goes where nobody else has saved: neither under a job that runs, nor beside what others left.
 * `before`: the attempt before this one; null: this is the first. `first`: as `claimFor` has it.
 */
export async function planJob(
  input: TrainInput,
  before: JobEntry | null,
  { machine, runner }: ReachedMachine,
  first: FirstCheckpoints | null,
  context: RunContext,
): Promise<PlannedJob> {
  const id = before?.id ?? newJobId(context.clock.now());
  const own = { id, checkpoints: posix.join(checkpointsOf(input, {}), id) };
  if (before === null && gpusForJob(input.up.need, machine.offer) !== null) return own;
  if (first === null) return before?.checkpoints === undefined ? { id } : { id, checkpoints: before.checkpoints };
  if (first.isOurs && (await runner.call('jobs', {})).jobs.length === 0) return { id };
  tellOwn(own, `${before === null ? 'begins' : 'goes on'} and saves`, input, machine, context);
  return own;
}

/**
 * For a job that is in the ledger and not yet sent. What another one goes on from is on its way to where this one would save: that one could see this
 * one in the ledger, but perhaps it has looked before.
 */
export function besideClaimed(job: JobEntry, input: TrainInput, machine: MachineEntry, context: RunContext): JobEntry {
  if (job.checkpoints !== undefined || !isClaimed(machine, context)) return job;
  const own = { ...job, checkpoints: posix.join(checkpointsOf(input, {}), job.id) };
  context.ledger.changeJob(job.id, (known) => ({ ...(known ?? job), checkpoints: own.checkpoints }));
  tellOwn(own, 'saves', input, machine, context);
  return own;
}

function tellOwn({ id, checkpoints }: Required<PlannedJob>, does: string, input: TrainInput, machine: MachineEntry, { reporter }: RunContext): void {
  const text = `Other jobs of '${machine.name}' save in ${checkpointsOf(input, {})}: ${id} ${does} in ${checkpoints}, which a later --start-from may name`;
  reporter.report({ type: 'note', level: 'info', text });
}
