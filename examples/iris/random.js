/**
 * A seeded random number generator (mulberry32) whose whole state is one integer, so that it fits into a checkpoint
 * and a resumed run draws the very numbers that an uninterrupted one would have drawn.
 */
export function seededRandom(seed) {
  let state = seed | 0;
  return {
    /** In [0, 1), like Math.random. */
    next() {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    },
    get state() {
      return state;
    },
    set state(saved) {
      state = saved | 0;
    },
  };
}

/** A shuffled copy (Fisher-Yates). */
export function shuffled(items, random) {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(random.next() * (i + 1));
    [out[i], out[j]] = [out[j], out[i]];
  }
  return out;
}
