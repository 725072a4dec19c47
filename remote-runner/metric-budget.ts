/** So many at once, and then so many a second. */
export interface Budget {
  /** Whether `take` would give something. */
  has(now: number): boolean;
  /** False: there is nothing left now. `now` in milliseconds; a clock that is set back gives nothing. */
  take(now: number): boolean;
}

export interface Allowance {
  readonly atOnce: number;
  readonly perSecond: number;
}

/** How much of what is found becomes part of the record, and how much of a log is looked at closely. */
export interface MetricLimits {
  /** Of what the job reports itself, per source and names. */
  readonly own: Allowance;
  /** Of lines that people's loops print: what is read from a log must not take more of the disk than the log may. */
  readonly pairs: Allowance;
  /** Of a portion's lines that may tell something so many, the last ones, are read as a framework's. */
  readonly lastLines: number;
  /** And of those before them so many. */
  readonly earlierLines: Allowance;
}

export const metricLimits: MetricLimits = {
  own: { atOnce: 10_000, perSecond: 20 },
  pairs: { atOnce: 5_000, perSecond: 20 },
  lastLines: 2_000,
  earlierLines: { atOnce: 20_000, perSecond: 1_000 },
};

export function createBudget({ atOnce, perSecond }: Allowance): Budget {
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
