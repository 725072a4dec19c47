/** Why a machine ended, in the words that the ledger keeps, so that every later look can tell a preemption from other ends. */
import type { JobEntry } from '../core/job.ts';
import type { MachineStatus } from '../core/machine.ts';

export const preemptedReason = 'its provider took it back (preempted)';
const deadlineReason = 'its time was over';
/** So long before its deadline a machine may be ended because of it, by the watchdog on it: milliseconds. */
export const deadlineLeadMs = 90_000;
/** By `gpu-run down`. */
export const downReason = 'down';
/** Of a job that ran then. */
export const downDetail = 'gpu-run down has ended its machine';
const offReason = 'it was switched off, by its watchdog (idle, or its job had stalled) or from inside';
const deletedReason = 'somebody ended it, and not gpu-run on this computer';

/** Gone, or on its way there for a reason that its provider gives: nobody will reach it again. */
export function isOver({ state, cause }: Pick<MachineStatus, 'state' | 'cause'>): boolean {
  return state === 'gone' || (state === 'ending' && cause !== undefined);
}

/** Of a machine that was there for the job, and went down behind it. */
export function jobEndedReason(jobId: string): string {
  return `${jobId} ended`;
}

/** Not by itself, nor by anybody's wish: its machine was taken back, vanished or was started anew. */
export function isCutShort({ end }: Pick<JobEntry, 'end'>): boolean {
  return end?.reason === 'preempted' || end?.reason === 'lost';
}

/** By somebody's wish, or since its work was done: nothing went wrong. */
export function saysInOrder(reason: string | null): boolean {
  return reason === downReason || /^job-\S+ ended$/.test(reason ?? '');
}

/** A clause without a full stop. */
export function endReasonOf({ cause, detail }: Pick<MachineStatus, 'cause' | 'detail'>): string {
  switch (cause) {
    case 'preempted':
      return preemptedReason;
    case 'deadline':
      return deadlineReason;
    case 'deleted':
      return `${deletedReason}${detail === null ? '' : ` (${detail})`}`;
    case 'host-error':
      return detail ?? 'the computer that it ran on failed';
    case 'off':
      return offReason;
    case undefined:
      return detail ?? 'it ended by itself';
  }
}

export function saysPreempted(reason: string | null): boolean {
  return reason === preemptedReason;
}

export function saysDeadline(reason: string | null): boolean {
  return reason === deadlineReason;
}

/** Switched off from inside, by whomever. */
export function saysOff(reason: string | null): boolean {
  return reason === offReason;
}

/** Somebody wanted it to end, here or by the provider's own means, or it ended itself as it was told to. */
export function saysAsked(reason: string | null): boolean {
  return reason === downReason || reason === offReason || reason?.startsWith('reap: ') === true || reason?.startsWith(deletedReason) === true;
}
