/** The billed time of a machine, cut up by what is asked for. Whatever it is cut by, the parts are the whole. */
import { billedSpan } from '../core/billing.ts';
import type { JobSpan, MachineBill } from '../ledger/ledger.ts';

export const costGroupings = ['machine', 'job', 'template', 'user', 'branch', 'commit', 'day'] as const;
export type CostGrouping = (typeof costGroupings)[number];

export interface Span {
  readonly bill: MachineBill;
  /** What is added up under one key. */
  readonly key: string;
  /** Milliseconds since the epoch. */
  readonly from: number;
  readonly to: number;
  /** Of the machine: two jobs side by side, each on half of its GPUs, have a half each. */
  readonly share: number;
}

const dayMs = 86_400_000;

/** `jobs`: those of this machine, in the order of their starts; needed where `needsJobs` says so. */
export function spansOf(bill: MachineBill, by: CostGrouping, jobs: readonly JobSpan[], now: number): Span[] {
  const whole = { bill, ...billedSpan(bill, now), share: 1 };
  if (by === 'day') return splitByDay(whole);
  return needsJobs(by) ? splitByJob(whole, jobs, now, (job) => keyOf(bill, by, job, now)) : [{ ...whole, key: keyOf(bill, by, null, now) }];
}

/** What one moment of a machine is added up under. `job`: whose it is; null: nobody's. `at`: milliseconds since the epoch. */
export function keyOf(bill: MachineBill, by: CostGrouping, job: JobSpan | null, at: number): string {
  switch (by) {
    case 'machine':
      return `${bill.name} (${bill.id})`;
    case 'template':
      return bill.template ?? '(no template)';
    case 'day':
      return new Date(at).toISOString().slice(0, 10); // of UTC
    case 'job':
      return job?.id ?? (isFailed(bill) ? `(never ready, ${bill.name})` : `(between jobs, ${bill.name})`);
    case 'user':
      return (job ?? bill).user;
    case 'branch':
      return (job ?? bill).branch ?? '(no branch)';
    case 'commit':
      return (job ?? bill).commit ?? '(no commit)';
  }
}

export function needsJobs(by: CostGrouping): boolean {
  return by === 'job' || by === 'user' || by === 'branch' || by === 'commit';
}

/** It was made, or may have been, and ended without ever having been ready. */
export function isFailed({ readyAt, state }: MachineBill): boolean {
  return readyAt === null && state === 'gone';
}

type Whole = Omit<Span, 'key' | 'share'>;

function splitByDay({ bill, from, to }: Whole): Span[] {
  const spans: Span[] = [];
  for (let at = from; at < to; ) {
    const midnight = (Math.floor(at / dayMs) + 1) * dayMs; // days of UTC
    spans.push({ bill, key: keyOf(bill, 'day', null, at), from: at, to: Math.min(midnight, to), share: 1 });
    at = midnight;
  }
  return spans;
}

interface Active {
  readonly job: JobSpan;
  readonly to: number;
}

/**
 * A job's share of the machine is its own while it runs; what no job has is called by `nameOf(null)`. No more than the whole machine is
 * given: a job of which nobody heard the end is over when the next one needs its room.
 */
function splitByJob({ bill, from, to }: Whole, jobs: readonly JobSpan[], now: number, nameOf: (job: JobSpan | null) => string): Span[] {
  const spans: Span[] = [];
  let at = from;
  let active: readonly Active[] = [];
  const goTo = (until: number) => {
    while (at < until) {
      const next = active.reduce((soonest, each) => Math.min(soonest, each.to), until);
      if (next > at) {
        for (const { job } of active) spans.push({ bill, key: nameOf(job), from: at, to: next, share: job.share });
        const rest = 1 - shareOf(active);
        if (rest > smallestShare) spans.push({ bill, key: nameOf(null), from: at, to: next, share: rest });
      }
      at = Math.max(at, next);
      active = active.filter((each) => each.to > at);
    }
  };
  for (const job of jobs) {
    goTo(clamp(job.startedAt, at, to));
    while (active.length > 0 && shareOf(active) + job.share > 1 + smallestShare) {
      const over = active.find((each) => each.job.endedAt === null) ?? active[0];
      active = active.filter((each) => each !== over);
    }
    const end = clamp(job.endedAt ?? now, at, to);
    if (end > at) active = [...active, { job, to: end }];
  }
  goTo(to);
  return spans;
}

/** Smaller ones come from rounding: a GPU of a machine is no millionth of it. */
const smallestShare = 1e-6;

function shareOf(active: readonly Active[]): number {
  return active.reduce((sum, { job }) => sum + job.share, 0);
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), Math.max(low, high));
}
