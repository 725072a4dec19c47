/** Crash recovery, at the start of each command that changes things: what a dead gpu-run left half done is ended. */
import { toGpuRunError } from '../core/errors.ts';
import { isAlive } from '../core/process-identity.ts';
import type { MachineEntry, MachineEntryState } from '../ledger/ledger.ts';
import type { RunContext } from './context.ts';
import { endMachine } from './end-machine.ts';
import { forgetKeysOfGone } from './settle-gone.ts';

const unfinished: ReadonlySet<MachineEntryState> = new Set(['intent', 'launched', 'ending']);

/** Half-made and half-ended machines whose process is gone. Ready machines are not touched: their jobs go on. */
export function isAbandoned(entry: MachineEntry): boolean {
  return unfinished.has(entry.state) && (entry.holder === null || !isAlive(entry.holder));
}

/** A machine that can't be ended now is left for the next time, with a warning: it must not keep the user from working. `except`: ids of machines that the caller ends. */
export async function recover(context: RunContext, except: ReadonlySet<string> = new Set()): Promise<void> {
  forgetKeysOfGone(context);
  for (const entry of context.ledger.list({ live: true }).filter(isAbandoned)) {
    if (except.has(entry.id)) continue;
    if (!context.ledger.claim(entry.id, context.self)) continue; // another gpu-run is at it
    try {
      const now = context.ledger.get(entry.id) ?? entry;
      if (now.state !== entry.state && !unfinished.has(now.state)) continue; // another one was at it in between
      await endMachine(now, 'the gpu-run that was working on it died', context);
    } catch (error) {
      const failure = toGpuRunError(error);
      context.reporter.report({ type: 'note', level: 'warn', text: [failure.message, ...failure.hints].join(' ') });
    } finally {
      context.ledger.release(entry.id, context.self);
    }
  }
}

/** For commands that work on one machine: what is left half done elsewhere is cleared up beside their work, and does not fail it. */
export async function besideRecovery<T>(context: RunContext, work: () => Promise<T>): Promise<T> {
  const [outcome] = await Promise.allSettled([work(), recover(context)]);
  if (outcome.status === 'rejected') throw outcome.reason;
  return outcome.value;
}
