/** So many at once, and then so many a second. */
export interface Budget {
  /** Whether `take` would give something. */
  has(now: number): boolean;
  /** False: there is nothing left now. `now` in milliseconds; a clock that is set back gives nothing. */
  take(now: number): boolean;
}

export function createBudget(atOnce: number, perSecond: number): Budget {
  let left = atOnce;
  let at: number | null = null;
  const has = (now: number): boolean => {
    if (now === at) return left >= 1;
    left = Math.min(atOnce, left + (Math.max(0, now - (at ?? now)) / 1_000) * perSecond);
    at = now;
    return left >= 1;
  };
  return {
    has,
    take(now) {
      if (!has(now)) return false;
      left -= 1;
      return true;
    },
  };
}
