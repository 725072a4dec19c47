/** Between two attempts of a job nothing runs; the ledger keeps that there is to be a next one, so that it can be cancelled. */
import { GpuRunError } from '../core/errors.ts';
import type { JobEntry } from '../core/job.ts';
import { mayBeAlive } from '../core/process-identity.ts';
import type { RunContext } from './context.ts';

/** From now on `gpu-run cancel` has something to cancel. */
export function noteAgain(job: JobEntry, { ledger }: RunContext): void {
  ledger.changeJob(job.id, (known) => (known?.end?.reason === 'cancelled' ? null : { ...(known ?? job), again: true }));
}

/** It has ended, and will be started again; perhaps whoever does so has not even heard of the end yet. */
export function isToGoOn({ state, end, again = false, retriedBy = null }: JobEntry): boolean {
  if (state !== 'ended' || end === null) return false;
  const isLost = end.reason === 'lost' || end.reason === 'preempted';
  return again || (isLost && retriedBy !== null && mayBeAlive(retriedBy));
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
