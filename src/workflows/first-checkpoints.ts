/**
 * The folder of checkpoints that the file says belongs to whichever jobs have a machine to themselves, one after the other. A job that begins with
 * checkpoints of this computer has them sent there before anybody hears of it: until it is in the machine's queue the folder is its alone.
 *
 * It takes the lock, and then looks whether another job is in the ledger; the other one is put into the ledger, and then looks at the lock. So
 * in any order one of the two finds the other, and has a folder of its own.
 */
import type { JobEntry } from '../core/job.ts';
import type { JobSpan, MachineEntry } from '../ledger/ledger.ts';
import type { RunContext } from './context.ts';
import { isLocked, takeLock } from './lock-file.ts';

type Known = Pick<RunContext, 'home' | 'ledger' | 'self'>;

export interface FirstCheckpoints extends Disposable {
  /** Nobody else saves there, or is about to, as far as is known here: it is ours until this is disposed. */
  readonly isOurs: boolean;
}

export function claimFirst(machine: MachineEntry, context: Known): FirstCheckpoints {
  return claim(machine, () => context.ledger.listJobs({ machineId: machine.id, limit: 1 }).length === 0, context);
}

/** For the next attempt of a job on the machine of the one before: the folder is still its own where no other job has had it since, or will before. */
export function claimAgain(before: JobEntry, machine: MachineEntry, context: Known): FirstCheckpoints {
  return claim(machine, () => !haveOthersHadIt(before, machine, context), context);
}

/** Jobs with a folder of their own aside. */
function haveOthersHadIt({ id }: JobEntry, machine: MachineEntry, { ledger }: Known): boolean {
  const shares = (other: string) => other !== id && ledger.getJob(other)?.checkpoints === undefined;
  const spans = ledger.jobSpans().filter(({ machineId }) => machineId === machine.id);
  const since = Math.min(...spans.filter((span) => span.id === id).map(({ startedAt }) => startedAt));
  const isSince = ({ endedAt }: JobSpan) => !Number.isFinite(since) || endedAt === null || endedAt > since;
  const waits = ({ id: other, state }: JobEntry) => state !== 'ended' && shares(other);
  return ledger.listJobs({ machineId: machine.id }).some(waits) || spans.some((span) => shares(span.id) && isSince(span));
}

function claim({ id }: MachineEntry, isFree: () => boolean, { home, self }: Known): FirstCheckpoints {
  const lock = takeLock(home.scratch, lockName(id), self);
  const isOurs = lock !== null && isFree();
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
