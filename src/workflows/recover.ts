/** Crash recovery, at the start of each command that changes things: what a dead gpu-run left half done is ended. */
import type { Clock } from '../core/clock.ts';
import { GpuRunError, toGpuRunError } from '../core/errors.ts';
import { mayBeAlive } from '../core/process-identity.ts';
import type { MachineEntry, MachineEntryState } from '../ledger/ledger.ts';
import type { RunContext } from './context.ts';
import { endMachine } from './end-machine.ts';
import { forgetKeysOfGone } from './settle-gone.ts';

/** For the end of what a dead gpu-run has left: the order is given, and the rest is the provider's. */
const patienceMs = 20_000;

const unfinished: ReadonlySet<MachineEntryState> = new Set(['intent', 'launched', 'ending']);

/** Half-made and half-ended machines whose process is gone. Ready machines are not touched: their jobs go on. */
export function isAbandoned(entry: MachineEntry): boolean {
  return unfinished.has(entry.state) && (entry.holder === null || !mayBeAlive(entry.holder));
}

/**
 * Side by side, and each for 20 seconds at most. A machine that can't be ended now is left for the next time, with a warning: it must not
 * keep the user from working. An interruption is left to the caller to notice. `except`: ids of machines that the caller ends.
 */
export async function recover(context: RunContext, except: ReadonlySet<string> = new Set()): Promise<void> {
  forgetKeysOfGone(context);
  const abandoned = context.ledger.list({ live: true }).filter((entry) => isAbandoned(entry) && !except.has(entry.id));
  await Promise.all(abandoned.map((entry) => recoverOne(entry, context)));
}

async function recoverOne(entry: MachineEntry, context: RunContext): Promise<void> {
  const { ledger, self, signal, reporter } = context;
  if (signal.aborted || !ledger.claim(entry.id, self)) return; // another gpu-run is at it
  try {
    const now = ledger.get(entry.id) ?? entry;
    if (now.state !== entry.state && !unfinished.has(now.state)) return; // another one was at it in between
    await endMachine(now, 'the gpu-run that was working on it died', { ...context, clock: impatient(context.clock, signal) });
  } catch (error) {
    if (signal.aborted) return;
    const failure = toGpuRunError(error);
    reporter.report({ type: 'note', level: 'warn', text: [failure.message, ...failure.hints].join(' | ') });
  } finally {
    ledger.release(entry.id, self);
  }
}

/** The same clock; whoever waits by it for longer than that, or when interrupted, is stopped. */
function impatient(clock: Clock, signal: AbortSignal): Clock {
  const until = clock.now() + patienceMs;
  return {
    now: () => clock.now(),
    sleep: async (ms) => {
      if (clock.now() >= until) throw new GpuRunError('internal', `it was not done within ${patienceMs / 1000} seconds; the next gpu-run goes on with it.`);
      await clock.sleep(Math.min(ms, until - clock.now()), signal);
    },
  };
}

/** For commands that work on one machine: what is left half done elsewhere is cleared up beside their work, and does not fail it. */
export async function besideRecovery<T>(context: RunContext, work: () => Promise<T>): Promise<T> {
  const [outcome] = await Promise.allSettled([work(), recover(context)]);
  if (outcome.status === 'rejected') throw outcome.reason;
  return outcome.value;
}
