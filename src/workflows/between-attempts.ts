/** Between two attempts of a job nothing runs; the ledger keeps that there is to be a next one, so that it can be cancelled. */
import { GpuRunError } from '../core/errors.ts';
import type { JobEntry } from '../core/job.ts';
import { mayBeAlive } from '../core/process-identity.ts';
import type { RunContext } from './context.ts';
import { isCutShort } from './end-reason.ts';

/** From now on `gpu-run cancel` has something to cancel. */
export function noteAgain(job: JobEntry, { ledger }: RunContext): void {
  ledger.changeJob(job.id, (entry) => {
    const known = entry ?? job;
    if (known.end?.reason === 'cancelled') return null;
    return asWanted(known) ?? { ...known, again: true };
  });
}

/** One that somebody wanted to end anyway; null: nobody did, or it has not ended. */
function asWanted(job: JobEntry): JobEntry | null {
  return job.cancelAsked === true && job.state === 'ended' ? asCancelled(job) : null;
}

/** What has ended, and is not started again for somebody wished so. null: it has not ended. */
export function asCancelled({ again: _, retriedBy: __, cancelAsked: ___, end, ...known }: JobEntry): JobEntry | null {
  return end === null ? null : { ...known, end: { ...end, reason: 'cancelled', detail: 'it is not started again' } };
}

/** It has ended, and will be started again; perhaps whoever does so has not even heard of the end yet. */
export function isToGoOn(job: JobEntry): boolean {
  const { state, end, again = false, retriedBy = null } = job;
  if (state !== 'ended' || end === null) return false;
  return again || (isCutShort(job) && retriedBy !== null && mayBeAlive(retriedBy));
}

/** @throws GpuRunError `interrupted`: by `gpu-run cancel`, while nothing ran */
export function throwIfCancelled(job: JobEntry | null, { ledger }: RunContext): void {
  if (job === null || ledger.getJob(job.id)?.end?.reason !== 'cancelled') return;
  throw new GpuRunError('interrupted', `${job.id} was cancelled between two attempts.`);
}

/** There is no next attempt after all. */
export function noteNotAgain(job: JobEntry, { ledger }: RunContext): void {
  ledger.changeJob(job.id, (entry) => {
    const { again = false, retriedBy = null, ...known } = entry ?? job;
    return again || retriedBy !== null ? known : null;
  });
}

/** An attempt that nobody is at any more. In one step, so that whoever follows it is told that it goes on; where it does not after all, the caller knows. */
export function noteLeft(job: JobEntry, goesOn: boolean, { ledger }: Pick<RunContext, 'ledger'>): void {
  ledger.changeJob(job.id, (entry) => {
    const known = entry ?? job;
    if (goesOn && known.end?.reason !== 'cancelled') return { ...(asWanted(known) ?? { ...known, again: true }), awaitedBy: null };
    const { again: _, retriedBy: __, ...left } = known; // perhaps it was to go on when it had just ended
    return { ...left, awaitedBy: null };
  });
}
