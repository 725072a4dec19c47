/** `cost`: what was spent, from the ledger alone. Also counts what runs now. */
import { type BilledSpan, billedSpan, plainBilling } from '../core/billing.ts';
import { costOf, type Price } from '../core/money.ts';
import type { JobSpan, MachineBill, MachineEntry } from '../ledger/ledger.ts';
import type { RunContext } from './context.ts';
import { type CostGrouping, isFailed, needsJobs, type Span, spansOf } from './cost-spans.ts';

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
  readonly usd: number;
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
  readonly items: readonly CostLine[];
  /** What `limit` left out. */
  readonly omitted: { readonly count: number; readonly usd: number; readonly seconds: number };
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
  const { createdAt, launchedAt = null, ref, endedAt, deadline, access, billing: rule = plainBilling } = machine;
  const life = { createdAt, launchedAt, providerCreatedAt: ref?.createdAt ?? null, endedAt, deadline, borrowed: access?.kind === 'openssh', rule };
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
    let usd = 0;
    let seconds = 0;
    for (const span of spansOf(bill, input.by, jobs.get(bill.id) ?? [], now)) {
      const part = { ...span, from: Math.max(span.from, window.since), to: Math.min(span.to, window.until) };
      const counted = (part.to - part.from) / 1000;
      if (counted <= 0) continue;
      const cost = costOf(bill.price, counted);
      addTo(sums, part, cost, now);
      usd += cost;
      seconds += counted;
    }
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
  seconds: number;
  live: boolean;
  readonly bills: MachineBill[];
}

function addTo(sums: Map<string, Sum>, { bill, key, from, to }: Span, usd: number, now: number): void {
  let sum = sums.get(key);
  if (sum === undefined) {
    sum = { key, usd: 0, seconds: 0, live: false, bills: [] };
    sums.set(key, sum);
  }
  sum.usd += usd;
  sum.seconds += (to - from) / 1000;
  if (bill.state !== 'gone' && to >= now) sum.live = true;
  if (sum.bills.at(-1) !== bill) sum.bills.push(bill);
}

function lineOf({ key, usd, seconds, live, bills }: Sum, by: CostGrouping): CostLine {
  const short = by === 'commit' && /^[0-9a-f]{40,64}$/.test(key) ? key.slice(0, 12) : key;
  const text = by === 'machine' && bills.some(isFailed) ? `${key}, never ready` : short;
  return { key, text, usd, seconds, live, prices: bookedPrices(bills) };
}

/** Each once. */
function bookedPrices(bills: readonly MachineBill[]): BookedPrice[] {
  const prices = new Map<string, BookedPrice>();
  for (const { provider, type, spot, price, priceSource: source, priceAsOf: asOf, createdAt } of bills) {
    const ageSeconds = Math.max(0, (createdAt - asOf) / 1000);
    const sort = bills.length === 1 ? '' : JSON.stringify([provider, type, spot, price.perHour, source]);
    const { asOf: oldest, ageSeconds: most } = prices.get(sort) ?? { asOf, ageSeconds };
    prices.set(sort, { provider, type, spot, price, source, asOf: Math.min(oldest, asOf), ageSeconds: Math.max(most, ageSeconds) });
  }
  return [...prices.values()];
}

function sumOf(lines: readonly { readonly usd: number; readonly seconds: number }[]): { readonly usd: number; readonly seconds: number } {
  return { usd: lines.reduce((sum, line) => sum + line.usd, 0), seconds: lines.reduce((sum, line) => sum + line.seconds, 0) };
}

function omittedOf(count: number, total: { usd: number; seconds: number }, kept: { usd: number; seconds: number }): CostResult['omitted'] {
  if (count <= 0) return { count: 0, usd: 0, seconds: 0 };
  return { count, usd: Math.max(0, total.usd - kept.usd), seconds: Math.max(0, total.seconds - kept.seconds) };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
