/**
 * A machine for which a job is being prepared: its code and data are on their way, and nobody else finds the job in the ledger yet. Whoever takes
 * such a machine down behind a job of his own looks here first. Only processes with this state folder see each other: a `train` on another
 * computer is not seen before its job runs.
 */
import { readdirSync } from 'node:fs';
import { mayBeAlive } from '../core/process-identity.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { RunContext } from './context.ts';
import { isLocked, takeLock } from './lock-file.ts';
import { up } from './up.ts';
import type { UpInput } from './up-input.ts';

type Machine = Pick<MachineEntry, 'id'>;

/** So many may prepare jobs for one machine at the same time; the others are not seen. */
const mostHolders = 64;
/** Whoever ends a machine says so at once; what else a ready one is claimed for may take longer, milliseconds. */
const patienceMs = 30_000;
const lookAgainMs = 100;

/** As `up`, and from then on held. Where somebody who had not seen that has just taken it down, there is another one. */
export async function upAndHold(input: UpInput, context: RunContext): Promise<{ readonly machine: MachineEntry; readonly hold: Disposable }> {
  for (;;) {
    const { machine } = await up(input, context);
    const hold = await holdMachine(machine, context);
    if (hold !== null) return { machine, hold };
  }
}

/**
 * Whoever takes it down claims it, looks here, and says in the ledger that it is ending; so once nobody has a claim any more, all who come later find the hold.
 * Dispose it when the job is in the ledger, or given up; again is harmless. null: it has ended, or is about to.
 */
export async function holdMachine(machine: Machine, context: Pick<RunContext, 'home' | 'ledger' | 'self' | 'clock'>): Promise<Disposable | null> {
  const { ledger, clock } = context;
  const hold = takeAny(machine, context);
  for (const until = clock.now() + patienceMs; ; await clock.sleep(lookAgainMs)) {
    const { state = 'gone', holder = null } = ledger.get(machine.id) ?? {};
    if (state !== 'ready') break;
    if (holder === null || !mayBeAlive(holder) || clock.now() >= until) return hold;
  }
  hold[Symbol.dispose]();
  return null;
}

/** By a process that lives. */
export function isHeld({ id }: Machine, { home }: Pick<RunContext, 'home'>): boolean {
  return namesIn(home.scratch).some((name) => name.startsWith(prefixOf(id)) && isLocked(home.scratch, name));
}

/** Where nothing can be read nobody can have written. */
function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Names that the dead have left are used again. Where nothing can be written nothing is held. */
function takeAny({ id }: Machine, { home, self }: Pick<RunContext, 'home' | 'self'>): Disposable {
  let lock: Disposable | null = null;
  for (let n = 0; lock === null && n < mostHolders; n += 1) lock = takeLock(home.scratch, `${prefixOf(id)}${n}`, self);
  return {
    [Symbol.dispose]: () => {
      lock?.[Symbol.dispose](); // once: the name may be another one's by then
      lock = null;
    },
  };
}

function prefixOf(machineId: string): string {
  return `${machineId}.preparing.`;
}
