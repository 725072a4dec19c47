/** Machines and jobs by the names that people type. Looks into the ledger only. */
import { GpuRunError } from '../core/errors.ts';
import type { JobEntry } from '../core/job.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { RunContext } from './context.ts';
import { downReason } from './end-reason.ts';

/** The live machine of that name. @throws GpuRunError not-found */
export function findMachine(name: string, context: RunContext): MachineEntry {
  const machine = context.ledger.list({ name, live: true })[0];
  if (machine !== undefined) return machine;
  const others = context.ledger.list({ live: true }).map((entry) => entry.name);
  const up = others.length > 0 ? [`These are up: ${others.join(', ')}.`] : [];
  const were = context.ledger.list({ name }).filter(({ neverMade }) => neverMade === undefined);
  const last = were.toSorted((a, b) => (b.endedAt ?? 0) - (a.endedAt ?? 0))[0];
  if (last === undefined) {
    throw new GpuRunError('not-found', `No machine named '${name}' is up.`, {
      hints: [...up, `gpu-run up ${name}   makes it`, 'gpu-run status --refresh   finds machines that this computer has forgotten'],
    });
  }
  const [job] = context.ledger.listJobs({ machineId: last.id, limit: 1 });
  throw new GpuRunError('not-found', `'${name}' is not up any more: ${endedBecause(last)}.`, {
    hints: [...up, `gpu-run up ${name}   makes a new one`, ...(job === undefined ? [] : [`gpu-run report ${job.id}   shows how its last job used it`])],
  });
}

/** A clause without a full stop; what the ledger has may be a whole sentence. */
function endedBecause({ endReason }: MachineEntry): string {
  return endReason === downReason ? '`gpu-run down` has ended it' : (endReason ?? 'it has ended').replace(/\.$/, '');
}

/** `top` shows the last part of ids: it will do where one job alone has it. */
function jobOfShortId(part: string, { ledger }: RunContext): JobEntry | null {
  const [job, ...others] = ledger.listJobs().filter(({ id }) => id.endsWith(`-${part}`));
  return job === undefined || others.length > 0 ? null : job;
}

/** The job with that id, or the newest of a machine; `unfinished`: one that hasn't ended first. @throws GpuRunError not-found */
export function findJob(input: { readonly jobId: string | null; readonly machineName: string; readonly unfinished: boolean }, context: RunContext): JobEntry {
  if (input.jobId !== null) {
    const job = context.ledger.getJob(input.jobId) ?? jobOfShortId(input.jobId, context);
    if (job !== null) return job;
    throw new GpuRunError('not-found', `There is no job '${input.jobId}'.`, { hints: ['gpu-run status --all   lists jobs'] });
  }
  const jobs = context.ledger.listJobs({ machineName: input.machineName });
  const job = (input.unfinished ? jobs.find((candidate) => candidate.state !== 'ended') : undefined) ?? jobs[0];
  if (job !== undefined) return job;
  throw new GpuRunError('not-found', `No job has run on a machine named '${input.machineName}'.`, {
    hints: ['gpu-run train   starts one', 'gpu-run status --all   lists the jobs of all machines'],
  });
}

/** The machine that a job ran on, dead or alive. @throws GpuRunError not-found */
export function machineOf(job: JobEntry, context: RunContext): MachineEntry {
  const machine = context.ledger.get(job.machineId);
  if (machine !== null) return machine;
  throw new GpuRunError('not-found', `The machine of ${job.id} isn't in the ledger.`);
}
