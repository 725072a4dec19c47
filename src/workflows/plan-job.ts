/** What a job is called and where it saves, before anybody hears of it: no two jobs share what one of them goes on from. */
import { posix } from 'node:path';
import { type JobEntry, jobIdOf } from '../core/job.ts';
import { newJobId } from '../core/run-id.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { JobSummary } from '../protocol/job.ts';
import { checkpointStore } from './checkpoint-store.ts';
import type { RunContext } from './context.ts';
import { gpusForJob } from './existing-machine.ts';
import { claimAgain, claimFirst, type FirstCheckpoints, isClaimed } from './first-checkpoints.ts';
import type { ReachedMachine } from './reach-machine.ts';
import { checkpointsOf, hasCheckpoints } from './resume-job.ts';
import type { TrainInput } from './train-input.ts';

/** A job that there is to be: what its checkpoints on their way need to know of it. */
export type PlannedJob = Pick<JobEntry, 'id' | 'checkpoints'>;

/** Where checkpoints are to be sent to a folder that the job does not have for itself: that is claimed. null: they are not. */
export function claimFor(before: JobEntry | null, input: TrainInput, machine: MachineEntry, context: RunContext): FirstCheckpoints | null {
  if (before === null ? gpusForJob(input.up.need, machine.offer) !== null : before.checkpoints !== undefined) return null;
  if (before?.machineId === machine.id) return hasCheckpoints(before, context) || input.startFrom !== undefined ? claimAgain(before, machine, context) : null;
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
  if (first.isOurs && isOurs(before, machine, (await runner.call('jobs', {})).jobs, context)) return { id };
  tellOwn(own, `${before === null ? 'begins' : 'goes on'} and saves`, input, machine, context);
  return own;
}

/** By what the machine says. Jobs that are known here have been looked at; here it is about others. */
function isOurs(before: JobEntry | null, machine: MachineEntry, there: readonly JobSummary[], { ledger }: RunContext): boolean {
  if (before?.machineId !== machine.id) return there.length === 0;
  const since = Math.min(...there.filter(({ id }) => jobIdOf(id) === before.id).map(({ startedAt, createdAt }) => startedAt ?? createdAt));
  return there.every(({ id, endedAt }) => ledger.getJob(jobIdOf(id)) !== null || (endedAt !== null && endedAt <= since));
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
