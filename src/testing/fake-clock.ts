/** A clock that a test turns by hand: nothing waits for real, and every wait ends in the order of its time. */
import type { Clock } from '../core/clock.ts';

interface Sleeper {
  readonly at: number;
  wake(): void;
}

export interface FakeClock extends Clock {
  /** How many `sleep` calls are waiting now. */
  readonly sleeping: number;
  /**
   * Turns time on by `ms`, stopping at each wake-up on the way, so that what wakes up and sleeps again is woken again in time.
   * What the woken code does beyond promises and immediates (files, processes) is not waited for.
   */
  advance(ms: number): Promise<void>;
  /** Like `advance`, but in one step, as when a laptop was asleep: all that is due wakes up at the new time. */
  jump(ms: number): Promise<void>;
}

/** `start`: milliseconds since the epoch; default 2026-01-01. Its times are whole, as those of a system are. */
export function createFakeClock(start: number = Date.UTC(2026, 0, 1)): FakeClock {
  let now = start;
  const sleepers = new Set<Sleeper>();

  const wakeDue = async () => {
    await settle();
    const due = [...sleepers].filter((sleeper) => sleeper.at <= now).sort((a, b) => a.at - b.at);
    for (const sleeper of due) sleeper.wake();
    await settle();
  };

  return {
    now: () => now,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const end = (settled: () => void) => {
          sleepers.delete(sleeper);
          signal?.removeEventListener('abort', onAbort);
          settled();
        };
        const onAbort = () => end(() => reject(signal?.reason));
        const sleeper: Sleeper = { at: now + Math.ceil(Math.max(0, ms)), wake: () => end(resolve) };
        sleepers.add(sleeper);
        signal?.addEventListener('abort', onAbort, { once: true });
      }),
    get sleeping() {
      return sleepers.size;
    },
    async advance(ms) {
      const until = now + ms;
      await wakeDue();
      for (;;) {
        const next = Math.min(...[...sleepers].map(({ at }) => at));
        if (next > until) break;
        now = next;
        await wakeDue();
      }
      now = until;
    },
    async jump(ms) {
      now += ms;
      await wakeDue();
    },
  };
}

/** Lets promise callbacks and immediates run that are ready now. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}
