/** Ctrl-C and its kin. The first one asks the work to stop and to clear up behind itself, the second one leaves at once. */
import type { EventEmitter } from 'node:events';
import { LeaveRunning } from '../core/errors.ts';

export interface Interrupts extends Disposable {
  readonly signal: AbortSignal;
  /** Asks the work to stop, as the first signal does. */
  abort(reason: Error): void;
}

export interface InterruptParts {
  /** `process`. */
  readonly source: EventEmitter;
  /** Told which signal came first. */
  readonly onFirst: (signal: NodeJS.Signals) => void;
  /** The second one: does not return to the work. */
  readonly onSecond: () => void;
  /** Milliseconds. */
  readonly now: () => number;
}

/** npm and other wrappers pass on to us what the terminal has sent to everybody: that is still one Ctrl-C. */
const echoMs = 250;

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** A closed terminal (SIGHUP) is no wish to stop: jobs and machines go on, guarded by their deadlines. */
export function watchInterrupts({ source, onFirst, onSecond, now }: InterruptParts): Interrupts {
  const controller = new AbortController();
  let firstAt: number | null = null;
  const onSignal = (signal: NodeJS.Signals) => {
    if (firstAt !== null) return now() - firstAt > echoMs ? onSecond() : undefined;
    firstAt = now();
    onFirst(signal);
    controller.abort(signal === 'SIGHUP' ? new LeaveRunning('The terminal was closed.') : new DOMException(`Interrupted by ${signal}.`, 'AbortError'));
  };
  for (const signal of signals) source.on(signal, onSignal);
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    [Symbol.dispose]: () => {
      for (const signal of signals) source.off(signal, onSignal);
    },
  };
}
