/** Why a machine ended, in the words that the ledger keeps, so that every later look can tell a preemption from other ends. */
import type { MachineStatus } from '../core/machine.ts';

export const preemptedReason = 'its provider took it back (preempted)';
const deadlineReason = 'its time was over';

/** Gone, or on its way there for a reason that its provider gives: nobody will reach it again. */
export function isOver({ state, cause }: Pick<MachineStatus, 'state' | 'cause'>): boolean {
  return state === 'gone' || (state === 'ending' && cause !== undefined);
}

/** A clause without a full stop. */
export function endReasonOf({ cause, detail }: Pick<MachineStatus, 'cause' | 'detail'>): string {
  switch (cause) {
    case 'preempted':
      return preemptedReason;
    case 'deadline':
      return deadlineReason;
    case 'deleted':
      return `somebody ended it, and not gpu-run on this computer${detail === null ? '' : ` (${detail})`}`;
    case 'host-error':
      return detail ?? 'the computer that it ran on failed';
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
