/**
 * The folder of checkpoints that the file says belongs to whichever jobs have a machine to themselves, one after the other. A job that begins with
 * checkpoints of this computer has them sent there before anybody hears of it: until it is in the machine's queue the folder is its alone.
 *
 * It takes the lock, and then looks whether another job is in the ledger; the other one is put into the ledger, and then looks at the lock. So
 * in any order one of the two finds the other, and has a folder of its own.
 */
import type { MachineEntry } from '../ledger/ledger.ts';
import type { RunContext } from './context.ts';
import { isLocked, takeLock } from './lock-file.ts';

type Known = Pick<RunContext, 'home' | 'ledger' | 'self'>;

export interface FirstCheckpoints extends Disposable {
  /** Nobody else saves there, or is about to, as far as is known here: it is ours until this is disposed. */
  readonly isOurs: boolean;
}

export function claimFirst({ id }: MachineEntry, { home, ledger, self }: Known): FirstCheckpoints {
  const lock = takeLock(home.scratch, lockName(id), self);
  const isOurs = lock !== null && ledger.listJobs({ machineId: id, limit: 1 }).length === 0;
  if (!isOurs) lock?.[Symbol.dispose]();
  return { isOurs, [Symbol.dispose]: () => (isOurs ? lock[Symbol.dispose]() : undefined) };
}

/** By a process that lives, and is not yet done with it. */
export function isClaimed({ id }: MachineEntry, { home }: Pick<RunContext, 'home'>): boolean {
  return isLocked(home.scratch, lockName(id));
}

function lockName(machineId: string): string {
  return `${machineId}.checkpoints`;
}
