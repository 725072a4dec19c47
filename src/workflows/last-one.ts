/** A machine that was rented for jobs goes down with the last of them. */
import { type GpuRunError, toGpuRunError } from '../core/errors.ts';
import { type JobEntry, runnerJobId } from '../core/job.ts';
import { mayBeAlive } from '../core/process-identity.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import { isToGoOn } from './between-attempts.ts';
import { type RunContext, uninterrupted } from './context.ts';
import { endClaimed } from './down.ts';
import { isHeld } from './hold-machine.ts';
import { jobsThere } from './jobs-there.ts';
import { closeUnsent } from './keep-job.ts';
import { isGone } from './reach-machine.ts';
import type { TrainInput } from './train-input.ts';

type OwnJob = Pick<JobEntry, 'id'>;
type Teardown = Pick<TrainInput, 'teardown'>;

/** For a job that has been announced and is not there yet. */
const lookAgainMs = 1_000;
const mostText = 300;

/** A second job may have come while this one ran: then the machine is its to take down. null: nobody else is there. `job`: null where it came to none. */
export async function othersOn(job: OwnJob | null, machine: MachineEntry, input: Teardown, context: RunContext): Promise<string | null> {
  try {
    return await whoseItIs(job, machine, input, context);
  } catch (error) {
    if (isGone(error)) return null; // and all that ran on it
    throw error;
  }
}

async function whoseItIs(job: OwnJob | null, machine: MachineEntry, input: Teardown, context: RunContext): Promise<string | null> {
  const now = context.ledger.get(machine.id);
  if (input.teardown !== 'auto') return null;
  if (now?.forOneJob === false) return keptText(machine);
  const unfinished = () => context.ledger.listJobs({ machineId: machine.id }).filter(({ id, state }) => id !== job?.id && state !== 'ended');
  if (unfinished().length === 0) return whoCame(job, machine, input, context);
  for (;;) {
    const there = await jobsThere(job?.id ?? null, unfinished, machine, context); // the ledger may be behind
    closeUnsent(machine, there, context);
    const others = unfinished();
    const other = others.find((each) => there.ids.has(runnerJobId(each)));
    if (other !== undefined) return there.doubt === null ? `'${machine.name}' stays up for ${other.id}` : doubtText(other, there.doubt, now ?? machine);
    const stranger = there.strangers[0];
    if (stranger !== undefined) return `'${machine.name}' stays up for ${nameOf(stranger)}, of which nothing is known here: ${endText(now ?? machine)}`;
    if (others.length === 0) return whoCame(job, machine, input, context);
    await context.clock.sleep(lookAgainMs, context.signal); // it is on its way, or whoever was sending it has died
  }
}

/** By what is known here, without asking anybody: others may have come while they were asked, or while logs were copied. null: nobody. */
export function whoCame(
  job: OwnJob | null,
  machine: MachineEntry,
  { teardown }: Teardown,
  { ledger, home }: Pick<RunContext, 'ledger' | 'home'>,
): string | null {
  if (teardown !== 'auto') return null;
  if (ledger.get(machine.id)?.forOneJob === false) return keptText(machine);
  const others = ledger.listJobs({ machineId: machine.id }).filter(({ id }) => id !== job?.id);
  const unfinished = others.find(({ state }) => state !== 'ended');
  if (unfinished !== undefined) return `'${machine.name}' stays up for ${unfinished.id}`;
  const awaited = others.find(isAwaited);
  if (awaited !== undefined) return `'${machine.name}' stays up: ${whatFor(awaited)}`;
  return isHeld(machine, { home }) ? `'${machine.name}' stays up: another job is being prepared for it` : null;
}

/** null: it was so from the beginning. */
function keptText({ name, forOneJob }: MachineEntry): string | null {
  return forOneJob ? `'${name}' stays up: gpu-run up, or train --keep, has asked for it meanwhile, or what a job has made is still there` : null;
}

function doubtText({ id }: JobEntry, doubt: GpuRunError, machine: MachineEntry): string {
  return `'${machine.name}' stays up, as it can't be asked whether ${id} still runs on it: ${cut(doubt.message)} ${endText(machine)}`;
}

/** What the machine says stands before a command that people type: no sentences of its own. */
function nameOf(runnerId: string): string {
  return /^[\w-]{1,64}$/.test(runnerId) ? runnerId : 'a job with a strange name';
}

function cut(text: string): string {
  return text.length > mostText ? `${text.slice(0, mostText)}...` : text;
}

/** Whoever is told that it stays for what can't be known has to know how it ends. */
function endText({ name, deadline }: MachineEntry): string {
  return `gpu-run down ${name}   ends it; else its limits do, at ${new Date(deadline).toISOString()} at the latest`;
}

/** It has ended, and whoever ran it is about to fetch its outputs, or to start it again; the machine is theirs to take down then. */
function isAwaited(job: JobEntry): boolean {
  const isAlive = (who: JobEntry['awaitedBy'] = null) => who !== null && mayBeAlive(who);
  return job.state === 'ended' && (isAlive(job.awaitedBy) || (isToGoOn(job) && isAlive(job.retriedBy)));
}

function whatFor(job: JobEntry): string {
  const { id } = job;
  return isToGoOn(job) ? `${id} is about to be started again` : `what ${id} has made is being fetched`;
}

export interface GivenUp {
  /** null: it came to none. */
  readonly job: OwnJob | null;
  readonly machine: MachineEntry;
  readonly input: Teardown;
  /** Why it ends. */
  readonly reason: string;
  /** Absent: `endClaimed`. */
  readonly end?: typeof endClaimed;
}

/** Once nothing is to come of a job any more. False: the machine stays, which is said: others are on it, or it can't be asked. */
export async function endIfLast({ job, machine, input, reason, end = endClaimed }: GivenUp, context: RunContext): Promise<boolean> {
  let stays = await whyStays(job, machine, input, context);
  stays ??= (await end(machine, reason, context, () => whoCame(job, machine, input, context))).stays ?? null;
  if (stays !== null) context.reporter.report({ type: 'note', level: 'warn', text: stays });
  return stays === null;
}

async function whyStays(job: OwnJob | null, machine: MachineEntry, input: Teardown, context: RunContext): Promise<string | null> {
  try {
    return await othersOn(job, machine, input, uninterrupted(context));
  } catch (error) {
    return `'${machine.name}' stays up, as it can't be asked whether other jobs run on it: ${toGpuRunError(error).message} ${endText(machine)}`;
  }
}
