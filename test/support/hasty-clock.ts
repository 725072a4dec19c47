/**
 * A clock for tests against a server in the same process: time is the real one, and every pause that nobody's work fills is skipped. So
 * limits and pauses keep their real lengths, a loaded computer makes nothing come too early, and nobody waits.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ClientRequest } from 'node:http';
import type { Clock } from '../../src/core/clock.ts';

export interface HastyClock extends Clock, Disposable {
  /** Milliseconds that were skipped so far. */
  readonly skipped: number;
}

export interface HastyClockParts {
  /** Of the server. */
  readonly port: number;
  /** How many requests the server has left without an answer on purpose: cut off, or hanging. */
  readonly unanswered: () => number;
  /** While true time passes as it does. */
  readonly isReal: () => boolean;
}

interface Sleeper {
  readonly at: number;
  wake(): void;
}

/** Nothing has happened for so many turns of the event loop, and as many milliseconds, before time is skipped. */
const idleTurns = 10;
const idleMs = 5;
/** A request that got lost on the way keeps time from being skipped for no longer. */
const lostMs = 15_000;
const startChannel = 'http.client.request.start';

export function createHastyClock({ port, unanswered, isReal }: HastyClockParts): HastyClock {
  const sleepers = new Set<Sleeper>();
  let skipped = 0;
  let open = 0;
  let endedWithout = 0;
  let seen = '';
  let since = Date.now();
  let turns = 0;
  let looking = false;
  const now = () => Date.now() + skipped;
  const onStart = (message: unknown) => {
    const { request } = message as { readonly request: ClientRequest };
    if (!String(request.getHeader('host')).endsWith(`:${port}`)) return;
    let isAnswered = false;
    open++;
    request.once('response', () => {
      isAnswered = true;
    });
    request.once('close', () => {
      open--;
      if (!isAnswered) endedWithout++;
    });
  };
  subscribe(startChannel, onStart);

  const look = () => {
    looking = sleepers.size > 0;
    if (!looking) return;
    const hanging = Math.max(0, unanswered() - endedWithout);
    const state = `${open} ${endedWithout} ${hanging} ${sleepers.size}`;
    if (state !== seen) {
      seen = state;
      since = Date.now();
      turns = 0;
    }
    turns++;
    const quietMs = Date.now() - since;
    const isBusy = open > hanging && quietMs < lostMs;
    const isIdle = !isBusy && turns > idleTurns && quietMs >= idleMs;
    const isKept = isIdle && isReal();
    if (isIdle && !isKept) {
      const next = Math.min(...[...sleepers].map(({ at }) => at));
      skipped += Math.max(0, Math.ceil(next - now()));
      since = Date.now();
      turns = 0;
    }
    for (const sleeper of [...sleepers].sort((a, b) => a.at - b.at)) if (sleeper.at <= now()) sleeper.wake();
    if (turns <= idleTurns) setImmediate(look);
    else setTimeout(look, isKept ? 2 : 1); // without a pause, the looks would take a whole core
  };

  return {
    now,
    get skipped() {
      return skipped;
    },
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const end = (settle: () => void) => {
          sleepers.delete(sleeper);
          signal?.removeEventListener('abort', onAbort);
          settle();
        };
        const onAbort = () => end(() => reject(signal?.reason));
        const sleeper: Sleeper = { at: now() + Math.max(0, ms), wake: () => end(resolve) };
        sleepers.add(sleeper);
        signal?.addEventListener('abort', onAbort, { once: true });
        if (!looking) {
          looking = true;
          setImmediate(look);
        }
      }),
    [Symbol.dispose]: () => {
      unsubscribe(startChannel, onStart);
      sleepers.clear();
    },
  };
}
