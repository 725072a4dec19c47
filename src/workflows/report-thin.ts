/** A job that wrote millions of metrics is reported on in bounded memory: of each kind of metric so many are kept, spread over its run. */
import type { JobRecord } from '../core/job.ts';

type MetricRecord = Extract<JobRecord, { readonly type: 'metric' }>;

/** Of one kind; plots show far fewer. */
const mostOfAKind = 10_000;
const mostKinds = 50;

interface Kind {
  kept: MetricRecord[];
  /** One of so many is kept. */
  stride: number;
  seen: number;
  last: MetricRecord | null;
}

export interface Thinner {
  add(record: JobRecord): void;
  /** In order: all that are no metrics, and of each kind of metrics the first, the last, and some of those between. */
  records(): JobRecord[];
}

/** Metrics are of one kind that have the same source and the same names: what is written once an epoch is not lost among the steps. */
export function createThinner(): Thinner {
  const others: JobRecord[] = [];
  const kinds = new Map<string, Kind>();
  const kindOf = (record: MetricRecord): Kind => {
    const name = JSON.stringify([record.source, ...Object.keys(record.values)]);
    const key = kinds.has(name) || kinds.size < mostKinds ? name : '';
    const kind = kinds.get(key) ?? { kept: [], stride: 1, seen: 0, last: null };
    kinds.set(key, kind);
    return kind;
  };
  return {
    add(record) {
      if (record.type !== 'metric') {
        others.push(record);
        return;
      }
      const kind = kindOf(record);
      kind.last = record;
      if (kind.seen++ % kind.stride !== 0) return;
      kind.kept.push(record);
      if (kind.kept.length < mostOfAKind) return;
      kind.kept = kind.kept.filter((_, at) => at % 2 === 0);
      kind.stride *= 2;
    },
    records() {
      const metrics = [...kinds.values()].flatMap(({ kept, last }) => (last === null || kept.at(-1) === last ? kept : [...kept, last]));
      return [...others, ...metrics].sort((a, b) => a.n - b.n);
    },
  };
}

/** Times in order, milliseconds; of those that lie less than a second apart the first and the last: no longer silence between them is lost. */
export function thinTimes(times: Iterable<number>): number[] {
  const kept: number[] = [];
  let first = Number.NEGATIVE_INFINITY;
  let last: number | null = null;
  for (const at of times) {
    if (Math.abs(at - first) < 1_000) {
      last = at;
      continue;
    }
    if (last !== null) kept.push(last);
    kept.push(at);
    first = at;
    last = null;
  }
  return last === null ? kept : [...kept, last];
}
