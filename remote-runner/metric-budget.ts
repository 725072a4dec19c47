/** So many at once, and then so many a second. */
export interface Budget {
  /** False: there is nothing left now. `now` in milliseconds; a clock that is set back gives nothing. */
  take(now: number): boolean;
}

export function createBudget(atOnce: number, perSecond: number): Budget {
  let left = atOnce;
  let at: number | null = null;
  return {
    take(now) {
      left = Math.min(atOnce, left + (Math.max(0, now - (at ?? now)) / 1_000) * perSecond);
      at = now;
      if (left < 1) return false;
      left -= 1;
      return true;
    },
  };
}
