/** `cost`: what was spent, from the ledger alone. */
import type { JobEntry } from '../core/job.ts';
import { costOf } from '../core/money.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { RunContext } from './context.ts';

export type CostGrouping = 'machine' | 'job' | 'template' | 'user' | 'branch' | 'day';

export interface CostInput {
  readonly by: CostGrouping;
  /** Milliseconds since the epoch; null: all. */
  readonly since: number | null;
}

export interface CostLine {
  readonly key: string;
  readonly text: string;
  readonly usd: number;
  readonly seconds: number;
}

export interface CostResult {
  readonly totalUsd: number;
  readonly items: readonly CostLine[];
}

/** Billed from the order to the end, and never beyond the deadline, which no rented machine outlives. */
export function billedSeconds(machine: MachineEntry, now: number): number {
  return Math.max(0, billedUntil(machine, now) - machine.createdAt) / 1000;
}

function billedUntil(machine: MachineEntry, now: number): number {
  const borrowed = machine.access?.kind === 'openssh'; // nobody ends the user's own host at a deadline
  return machine.endedAt ?? (borrowed ? now : Math.min(now, machine.deadline));
}

interface Span {
  readonly key: string;
  readonly from: number;
  readonly to: number;
  readonly machine: MachineEntry;
}

export function reportCost(input: CostInput, context: Pick<RunContext, 'ledger' | 'clock'>): CostResult {
  const now = context.clock.now();
  const since = input.since ?? 0;
  const spans = context.ledger
    .list()
    .flatMap((machine) => spansOf(machine, input.by, now, context))
    .map((span) => ({ ...span, from: Math.max(span.from, since) }))
    .filter((span) => span.to > span.from);
  const lines = new Map<string, CostLine>();
  for (const span of spans) {
    const seconds = (span.to - span.from) / 1000;
    const line = lines.get(span.key) ?? { key: span.key, text: span.key, usd: 0, seconds: 0 };
    lines.set(span.key, { ...line, usd: line.usd + costOf(span.machine.offer.price, seconds), seconds: line.seconds + seconds });
  }
  const items = [...lines.values()].sort((a, b) => b.usd - a.usd || a.key.localeCompare(b.key));
  return { totalUsd: items.reduce((sum, line) => sum + line.usd, 0), items };
}

/** The machine's billed time, cut up by what is asked for. Time of no job is idle time, and shown as such. */
function spansOf(machine: MachineEntry, by: CostGrouping, now: number, context: Pick<RunContext, 'ledger'>): Span[] {
  const whole = { machine, from: machine.createdAt, to: billedUntil(machine, now) };
  switch (by) {
    case 'machine':
      return [{ ...whole, key: `${machine.name} (${machine.id})` }];
    case 'template':
      return [{ ...whole, key: machine.template ?? '(no template)' }];
    case 'user':
      return [{ ...whole, key: machine.user }];
    case 'branch':
      return [{ ...whole, key: machine.branch ?? '(no branch)' }];
    case 'day':
      return splitByDay(whole);
    case 'job':
      return splitByJob(whole, context.ledger.listJobs({ machineId: machine.id }), now);
  }
}

function splitByDay({ machine, from, to }: Omit<Span, 'key'>): Span[] {
  const spans: Span[] = [];
  for (let at = from; at < to; ) {
    const day = new Date(at).toISOString().slice(0, 10);
    const midnight = Date.parse(`${day}T00:00:00Z`) + 86_400_000;
    spans.push({ key: day, from: at, to: Math.min(midnight, to), machine });
    at = midnight;
  }
  return spans;
}

function splitByJob({ machine, from, to }: Omit<Span, 'key'>, jobs: readonly JobEntry[], now: number): Span[] {
  const spans: Span[] = [];
  let at = from;
  for (const job of jobs.filter((candidate) => candidate.startedAt !== null).sort((a, b) => (a.startedAt ?? 0) - (b.startedAt ?? 0))) {
    const begin = clamp(job.startedAt ?? at, at, to);
    const end = clamp(job.endedAt ?? now, begin, to);
    spans.push({ key: `(between jobs, ${machine.name})`, from: at, to: begin, machine }, { key: job.id, from: begin, to: end, machine });
    at = end;
  }
  return [...spans, { key: `(between jobs, ${machine.name})`, from: at, to, machine }];
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), Math.max(low, high));
}
