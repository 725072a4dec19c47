/** From when to when a machine is billed. Prices are whole-machine prices per hour; `money.ts` turns the seconds into dollars. */

/** How a provider counts time. */
export interface BillingRule {
  /** A machine that existed at all is billed for so long, seconds. */
  readonly minimumSeconds: number;
  /** Smallest billed span, seconds; a part of it counts as a whole. 0: to the millisecond. */
  readonly incrementSeconds: number;
}

/** To the millisecond, nothing at least: for machines of which nothing else was written down. */
export const plainBilling: BillingRule = { minimumSeconds: 0, incrementSeconds: 0 };

/** As a provider's traits say it. */
export function billingOf(traits: { readonly billingMinimumSeconds?: number; readonly billingIncrementSeconds: number }): BillingRule {
  return { minimumSeconds: traits.billingMinimumSeconds ?? 0, incrementSeconds: traits.billingIncrementSeconds };
}

/** What is billed of a machine that existed at all, seconds; more than nothing. */
export function leastSeconds({ minimumSeconds, incrementSeconds }: BillingRule): number {
  return Math.max(minimumSeconds, incrementSeconds, 1);
}

/** What decides. All times are milliseconds since the epoch, by the clock of this computer unless it says otherwise. */
export interface BilledLife {
  /** When the order was written down, before the provider heard of it. */
  readonly createdAt: number;
  /** When we knew that it exists; null: we never did, or did not write it down. */
  readonly launchedAt: number | null;
  /** When it was made, by the provider's clock; null: it doesn't say. */
  readonly providerCreatedAt: number | null;
  /** When it began to run after it had waited in a queue of its provider, which costs nothing; null: it did not wait. */
  readonly begunAt: number | null;
  readonly endedAt: number | null;
  readonly deadline: number;
  /** The user's own host: nobody ends it at a deadline. */
  readonly borrowed: boolean;
  readonly rule: BillingRule;
}

/** Milliseconds since the epoch. `to` may be later than the end, and than now: what has begun is billed to its minimum or increment. */
export interface BilledSpan {
  readonly from: number;
  readonly to: number;
}

/**
 * From the machine's beginning at its provider to its end, and never beyond the deadline, which no rented machine outlives. An order
 * whose beginning is not known counts from when it was given: too much rather than too little.
 */
export function billedSpan(life: BilledLife, now: number): BilledSpan {
  const end = life.endedAt ?? (life.borrowed ? now : Math.min(now, life.deadline));
  const from = life.endedAt === null ? beginOf(life) : Math.min(beginOf(life), Math.max(life.createdAt, end));
  const exact = Math.max(0, end - from);
  const step = life.rule.incrementSeconds * 1000;
  const counted = step > 0 ? Math.ceil(exact / step) * step : exact;
  return { from, to: from + Math.max(counted, life.rule.minimumSeconds * 1000) };
}

/** The provider's clock may be off: it counts only between our order and our knowing. */
function beginOf({ createdAt, launchedAt, providerCreatedAt, begunAt }: BilledLife): number {
  if (begunAt !== null) return Math.max(begunAt, createdAt);
  if (launchedAt === null || providerCreatedAt === null) return createdAt;
  return Math.min(Math.max(providerCreatedAt, createdAt), Math.max(launchedAt, createdAt));
}
