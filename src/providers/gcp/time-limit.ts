/** A limit for several calls together. */
import type { Clock } from '../../core/clock.ts';

export interface TimeLimit extends Disposable {
  /** Aborted when the time is over. */
  readonly signal: AbortSignal;
}

/** Dispose it. */
export function timeLimit(clock: Clock, ms: number): TimeLimit {
  const late = new AbortController();
  const over = new AbortController();
  clock.sleep(ms, over.signal).then(
    () => late.abort(new Error(`it took longer than ${Math.round(ms / 1000)} s`)),
    () => {},
  );
  return { signal: late.signal, [Symbol.dispose]: () => over.abort() };
}
