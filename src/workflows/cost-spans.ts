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
}

const dayMs = 86_400_000;

/** `jobs`: those of this machine, in the order of their starts; needed where `needsJobs` says so. */
export function spansOf(bill: MachineBill, by: CostGrouping, jobs: readonly JobSpan[], now: number): Span[] {
  const whole = { bill, ...billedSpan(bill, now) };
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

type Whole = Omit<Span, 'key'>;

function splitByDay({ bill, from, to }: Whole): Span[] {
  const spans: Span[] = [];
  for (let at = from; at < to; ) {
    const midnight = (Math.floor(at / dayMs) + 1) * dayMs; // days of UTC
    spans.push({ bill, key: keyOf(bill, 'day', null, at), from: at, to: Math.min(midnight, to) });
    at = midnight;
  }
  return spans;
}

/** A job's time is its own; the time of no job is called by `nameOf(null)`. Jobs run one at a time: one is over when the next begins, whatever was heard of its end. */
function splitByJob({ bill, from, to }: Whole, jobs: readonly JobSpan[], now: number, nameOf: (job: JobSpan | null) => string): Span[] {
  const spans: Span[] = [];
  let at = from;
  for (const [index, job] of jobs.entries()) {
    const begin = clamp(job.startedAt, at, to);
    const end = clamp(Math.min(job.endedAt ?? now, jobs[index + 1]?.startedAt ?? Number.POSITIVE_INFINITY), begin, to);
    if (begin > at) spans.push({ bill, key: nameOf(null), from: at, to: begin });
    if (end > begin) spans.push({ bill, key: nameOf(job), from: begin, to: end });
    at = end;
  }
  if (to > at) spans.push({ bill, key: nameOf(null), from: at, to });
  return spans;
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), Math.max(low, high));
}
