/** Whether the client at the other end of a connection is still there. */

export interface Presence {
  heard(): void;
  /** Resolves when nothing was heard for three beats: a client whose network swallowed its goodbye is no client, and keeps no machine busy. */
  readonly gone: Promise<void>;
  end(): void;
}

/** Counts its own ticks, not the clock: a machine that was suspended, or whose clock was set, has missed nothing. */
export function watchPresence(everyMs: number): Presence {
  let missed = 0;
  let onGone = () => {};
  const gone = new Promise<void>((resolve) => {
    onGone = resolve;
  });
  const timer = setInterval(() => {
    missed += 1;
    if (missed > 3) onGone();
  }, everyMs);
  return {
    gone,
    heard: () => {
      missed = 0;
    },
    end: () => clearInterval(timer),
  };
}
