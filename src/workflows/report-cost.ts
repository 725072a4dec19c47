/** `cost`: what was spent, from the ledger alone. Also counts what runs now. */
import { type BilledSpan, billedSpan, plainBilling } from '../core/billing.ts';
import { costOf, costOfBytes, type Price } from '../core/money.ts';
import type { JobSpan, MachineBill, MachineEgress, MachineEntry } from '../ledger/ledger.ts';
import type { RunContext } from './context.ts';
import { type CostGrouping, isFailed, keyOf, needsJobs, type Span, spansOf } from './cost-spans.ts';

export type { CostGrouping } from './cost-spans.ts';

export interface CostInput {
  readonly by: CostGrouping;
  /** Milliseconds since the epoch; null: from the first machine on. */
  readonly since: number | null;
  /** Milliseconds since the epoch, not itself counted; absent or null: up to now. */
  readonly until?: number | null;
  /** At most so many items, the dearest (of days: the latest); absent or null: all. */
  readonly limit?: number | null;
}

/** A price as it was frozen into runs when they were ordered. */
export interface BookedPrice {
  readonly provider: string;
  readonly type: string;
  readonly spot: boolean;
  readonly price: Price;
  /** Where it came from, in words. */
  readonly source: string;
  /** When it was true there, milliseconds since the epoch; of several runs the oldest. */
  readonly asOf: number;
  /** How old it was when the machine was ordered, seconds; of several runs the most. */
  readonly ageSeconds: number;
}

export interface CostLine {
  readonly key: string;
  /** For people. */
  readonly text: string;
  /** All of it, the egress too. */
  readonly usd: number;
  /** Of it an estimate for what left the provider's network; null: none takes money for that. */
  readonly egressUsd: number | null;
  /** Billed time. */
  readonly seconds: number;
  /** Something of it runs now: the sum grows. */
  readonly live: boolean;
  readonly prices: readonly BookedPrice[];
}

/** A machine that was paid for and never got ready. Its cost is part of the total. */
export interface FailedAttempt {
  readonly id: string;
  readonly name: string;
  readonly provider: string;
  readonly zone: string | null;
  readonly type: string;
  readonly usd: number;
  readonly seconds: number;
  readonly reason: string | null;
}

export interface CostResult {
  readonly totalUsd: number;
  readonly totalSeconds: number;
  /** Of it an estimate for what left the provider's network; null: none takes money for that. */
  readonly totalEgressUsd: number | null;
  readonly items: readonly CostLine[];
  /** What `limit` left out. */
  readonly omitted: { readonly count: number; readonly usd: number; readonly egressUsd: number | null; readonly seconds: number };
  /** `attempts`: the newest; `count` and `usd` are of all. */
  readonly failed: { readonly count: number; readonly usd: number; readonly attempts: readonly FailedAttempt[] };
}

/** More are counted, but not named. */
const mostNamedAttempts = 50;

/** The seconds of one machine that are billed by now. */
export function billedSeconds(machine: MachineEntry, now: number): number {
  const { from, to } = spanOf(machine, now);
  return machine.neverMade === undefined ? (to - from) / 1000 : 0;
}

/** From when to when one machine is billed by now, milliseconds since the epoch. */
export function spanOf(machine: MachineEntry, now: number): BilledSpan {
  const { createdAt, launchedAt = null, ref, begunAt = null, endedAt, deadline, access, billing: rule = plainBilling } = machine;
  const life = { createdAt, launchedAt, providerCreatedAt: ref?.createdAt ?? null, begunAt, endedAt, deadline, borrowed: access?.kind === 'openssh', rule };
  return billedSpan(life, now);
}

export function reportCost(input: CostInput, context: Pick<RunContext, 'ledger' | 'clock'>): CostResult {
  const now = context.clock.now();
  const window = { since: input.since ?? 0, until: input.until ?? Number.MAX_SAFE_INTEGER };
  const bills = context.ledger.bills(window);
  const jobs = needsJobs(input.by) ? Map.groupBy(context.ledger.jobSpans(), ({ machineId }) => machineId) : new Map<string, JobSpan[]>();
  const sums = new Map<string, Sum>();
  const failures: { readonly bill: MachineBill; readonly usd: number; readonly seconds: number }[] = [];
  for (const bill of bills) {
    const choices = { since: window.since, until: window.until, by: input.by, jobs: jobs.get(bill.id) ?? [], now };
    const { usd, seconds } = addBill(sums, bill, choices);
    if (seconds > 0 && isFailed(bill)) failures.push({ bill, usd, seconds });
  }
  const lines = [...sums.values()];
  const ordered = input.by === 'day' ? lines.sort((a, b) => compare(a.key, b.key)) : lines.sort((a, b) => b.usd - a.usd || compare(a.key, b.key));
  const shown = Math.min(input.limit ?? ordered.length, ordered.length);
  const kept = input.by === 'day' ? ordered.slice(ordered.length - shown) : ordered.slice(0, shown);
  const total = sumOf(ordered);
  return {
    totalUsd: total.usd,
    totalSeconds: total.seconds,
    totalEgressUsd: total.egressUsd,
    items: kept.map((sum) => lineOf(sum, input.by)),
    omitted: omittedOf(ordered.length - shown, total, sumOf(kept)),
    failed: {
      count: failures.length,
      usd: failures.reduce((sum, { usd }) => sum + usd, 0),
      attempts: failures
        .slice(-mostNamedAttempts)
        .reverse()
        .map(({ bill: { id, name, provider, zone, type }, usd, seconds }) => {
          return { id, name, provider, zone, type, usd, seconds, reason: context.ledger.get(id)?.endReason ?? null };
        }),
    },
  };
}

interface Sum {
  readonly key: string;
  usd: number;
  egressUsd: number | null;
  seconds: number;
  live: boolean;
  readonly bills: MachineBill[];
}

interface BillChoices {
  readonly by: CostGrouping;
  /** Of this machine; empty where it is not cut by them. */
  readonly jobs: readonly JobSpan[];
  readonly since: number;
  readonly until: number;
  readonly now: number;
}

function addBill(sums: Map<string, Sum>, bill: MachineBill, choices: BillChoices): { readonly usd: number; readonly seconds: number } {
  const { by, jobs, since, until, now } = choices;
  let usd = 0;
  let seconds = 0;
  for (const span of spansOf(bill, by, jobs, now)) {
    const part = { ...span, from: Math.max(span.from, since), to: Math.min(span.to, until) };
    const counted = ((part.to - part.from) / 1000) * span.share;
    if (counted <= 0) continue;
    const cost = costOf(bill.price, counted);
    addTo(sums, part, cost, bill.egress === null ? null : 0, now);
    usd += cost;
    seconds += counted;
  }
  return { usd: usd + (bill.egress === null ? 0 : addEgress(sums, bill, bill.egress, choices)), seconds };
}

/** What was fetched counts at the machine's end, whatever it is cut by, and for the job that it belongs to. Returns its cost. */
function addEgress(sums: Map<string, Sum>, bill: MachineBill, { perGb, pulled }: MachineEgress, { by, jobs, since, until, now }: BillChoices): number {
  const at = billedSpan(bill, now).to - 1;
  if (at < since || at >= until) return 0;
  let whole = 0;
  for (const id in pulled) {
    const usd = costOfBytes(perGb, pulled[id] ?? 0);
    whole += usd;
    if (!needsJobs(by)) continue;
    const key = keyOf(bill, by, jobs.find((job) => job.id === id) ?? null, at);
    addTo(sums, { bill, key, from: at, to: at, share: 1 }, usd, usd, now);
  }
  if (whole > 0 && !needsJobs(by)) addTo(sums, { bill, key: keyOf(bill, by, null, at), from: at, to: at, share: 1 }, whole, whole, now);
  return whole;
}

function addTo(sums: Map<string, Sum>, { bill, key, from, to, share }: Span, usd: number, egressUsd: number | null, now: number): void {
  let sum = sums.get(key);
  if (sum === undefined) {
    sum = { key, usd: 0, egressUsd: null, seconds: 0, live: false, bills: [] };
    sums.set(key, sum);
  }
  sum.usd += usd;
  if (egressUsd !== null) sum.egressUsd = (sum.egressUsd ?? 0) + egressUsd;
  sum.seconds += ((to - from) / 1000) * share;
  if (bill.state !== 'gone' && to >= now) sum.live = true;
  if (sum.bills.at(-1) !== bill) sum.bills.push(bill);
}

function lineOf({ key, usd, egressUsd, seconds, live, bills }: Sum, by: CostGrouping): CostLine {
  const short = by === 'commit' && /^[0-9a-f]{40,64}$/.test(key) ? key.slice(0, 12) : key;
  const text = by === 'machine' && bills.some(isFailed) ? `${key}, never ready` : short;
  return { key, text, usd, egressUsd, seconds, live, prices: bookedPrices(bills) };
}

/** Each once. */
function bookedPrices(bills: readonly MachineBill[]): BookedPrice[] {
  if (bills.length === 1) return bills.map(bookedPrice); // what lists by machine are made of
  const prices = new Map<string, BookedPrice>();
  for (const booked of bills.map(bookedPrice)) {
    const { provider, type, spot, price, source } = booked;
    const sort = JSON.stringify([provider, type, spot, price.perHour, source]);
    const { asOf, ageSeconds } = prices.get(sort) ?? booked;
    prices.set(sort, { ...booked, asOf: Math.min(asOf, booked.asOf), ageSeconds: Math.max(ageSeconds, booked.ageSeconds) });
  }
  return [...prices.values()];
}

function bookedPrice({ provider, type, spot, price, priceSource: source, priceAsOf: asOf, createdAt }: MachineBill): BookedPrice {
  return { provider, type, spot, price, source, asOf, ageSeconds: Math.max(0, (createdAt - asOf) / 1000) };
}

type Total = Pick<Sum, 'usd' | 'egressUsd' | 'seconds'>;

function sumOf(lines: readonly Total[]): Total {
  return {
    usd: lines.reduce((sum, line) => sum + line.usd, 0),
    egressUsd: lines.reduce<number | null>((sum, { egressUsd }) => (egressUsd === null ? sum : (sum ?? 0) + egressUsd), null),
    seconds: lines.reduce((sum, line) => sum + line.seconds, 0),
  };
}

function omittedOf(count: number, total: Total, kept: Total): CostResult['omitted'] {
  if (count <= 0) return { count: 0, usd: 0, egressUsd: null, seconds: 0 };
  const egressUsd = total.egressUsd === null ? null : Math.max(0, total.egressUsd - (kept.egressUsd ?? 0));
  return { count, usd: Math.max(0, total.usd - kept.usd), egressUsd, seconds: Math.max(0, total.seconds - kept.seconds) };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
