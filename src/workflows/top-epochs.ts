/** How many epochs of a job are done, and how long each takes, from the numbers that it tells. */
import type { JobRecord } from '../core/job.ts';
import { rateOf } from './report-training.ts';

type MetricRecord = Extract<JobRecord, { readonly type: 'metric' }>;

export interface Epochs {
  add(record: MetricRecord): void;
  /** What was told before says nothing of its speed. */
  nextAttempt(): void;
  seconds(): number | null;
  /** The running one counts by its steps where it is known how many an epoch has, else by time. @param now milliseconds on the machine */
  done(now: number): number | null;
}

interface Epoch {
  readonly number: number;
  readonly first: MetricRecord;
  readonly last: MetricRecord;
}

/** How fast it is now, not how fast it was in the beginning. */
const recentEpochs = 10;
/** As long as the next one has not begun. */
const mostOfEpoch = 0.99;

export function createEpochs(): Epochs {
  let recent: Epoch[] = [];
  let base = 1;
  let isExact = false;
  const secondsOf = () => {
    const perSecond = rateOf([recent.map(({ first }) => first)], ({ epoch }) => epoch);
    return perSecond === null ? null : 1 / perSecond;
  };
  return {
    add(record) {
      const { epoch } = record;
      const at = recent.at(-1);
      if (epoch === null) {
        if (at !== undefined && record.step !== null) recent = [...recent.slice(0, -1), { ...at, last: record }];
        return;
      }
      if (epoch === 0) base = 0;
      if (!Number.isInteger(epoch)) isExact = true;
      const isSame = at?.number === epoch;
      const next: Epoch = isSame ? { ...at, last: record } : { number: epoch, first: record, last: record };
      recent = isSame ? [...recent.slice(0, -1), next] : [...recent.slice(-recentEpochs), next];
    },
    nextAttempt: () => {
      recent = [];
    },
    seconds: secondsOf,
    done(now) {
      const at = recent.at(-1);
      if (at === undefined) return null;
      if (isExact) return at.number;
      const before = recent.at(-2) ?? null;
      const isTold = before !== null && isToldAtEnd(before, at);
      const part = (isTold ? null : partOfSteps(before, at)) ?? partOfTime(at, now, secondsOf());
      return Math.max(0, at.number - base + (isTold ? 1 : 0)) + Math.min(mostOfEpoch, Math.max(0, part));
    },
  };
}

/** A job that writes a line an epoch does so when it is done; one that writes all the while names the epoch that runs. */
function isToldAtEnd({ first, last }: Epoch, next: Epoch): boolean {
  return last.t - first.t < (next.first.t - first.t) / 2;
}

function partOfSteps(before: Epoch | null, { number, first, last }: Epoch): number | null {
  if (before === null || first.step === null || last.step === null || before.first.step === null) return null;
  const steps = (first.step - before.first.step) / (number - before.number);
  return steps > 0 ? (last.step - first.step) / steps : null;
}

function partOfTime({ first }: Epoch, now: number, seconds: number | null): number {
  return seconds === null ? 0 : (now - first.t) / 1000 / seconds;
}
