/**
 * What a run has cost before its next machine is ordered. A run is what one `up` or `train` orders until it has a machine, and goes on with
 * the next call for the same name where that machine, or the start of it, was cut short by nobody's wish.
 */
import { type BillingRule, leastSeconds } from '../core/billing.ts';
import { GpuRunError } from '../core/errors.ts';
import { costOf, formatUsd } from '../core/money.ts';
import type { Offer } from '../core/offer.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import { budgetLeft, isAffordable } from './budget-deadline.ts';
import type { RunContext } from './context.ts';
import { deadlineLeadMs, isCutShort, saysAsked, saysDeadline, saysPreempted } from './end-reason.ts';
import { billedSeconds } from './report-cost.ts';

/** Who calls later than that begins another run. */
const sameRunMs = 12 * 3_600_000;

interface Budget {
  readonly name: string;
  readonly budgetUsd: number | null;
  /** As `spentByRun` has it. */
  readonly spentBeforeUsd: number;
}

type Known = Pick<RunContext, 'ledger' | 'clock'>;

/** US dollars. Each machine knows what was spent before it, so that the newest tells of all. */
export function spentByRun(name: string, context: Known): number {
  const [last] = context.ledger.list({ name, made: true, limit: 1 });
  // From when its end became known: a computer that slept meanwhile goes on with the same run.
  if (last === undefined || last.endedAt === null || context.clock.now() - Math.max(last.endedAt, last.asOf) > sameRunMs) return 0;
  return wasCutShort(last, last.endedAt, context) ? spentBy(last, context) : 0;
}

/** What its run has cost by now, this machine included, US dollars. */
export function spentBy(machine: MachineEntry, { clock }: Pick<RunContext, 'clock'>): number {
  return (machine.spentBeforeUsd ?? 0) + costOf(machine.offer.price, billedSeconds(machine, clock.now()));
}

function wasCutShort(machine: MachineEntry, endedAt: number, { ledger }: Known): boolean {
  const { id, endReason, readyAt, deadline } = machine;
  if (saysAsked(endReason)) return false;
  if (readyAt === null || saysPreempted(endReason)) return true;
  if (saysDeadline(endReason) || endedAt >= deadline - deadlineLeadMs) return false;
  const [job] = ledger.listJobs({ machineId: id, limit: 1 });
  return job !== undefined && isCutShort(job);
}

/**
 * The offers of one provider of which the rest of the budget buys what would be billed at least. `refusal`: why there is none, where the
 * money is what is missing.
 */
export function withinBudget(
  offers: readonly Offer[],
  budget: Budget,
  billing: BillingRule,
): { readonly offers: readonly Offer[]; readonly refusal: GpuRunError | null } {
  const within = offers.filter((offer) => isAffordable(budget, offer, billing));
  const [first, ...others] = offers;
  if (within.length > 0 || first === undefined) return { offers: within, refusal: null };
  const cheapest = others.reduce((best, offer) => (offer.price.perHour < best.price.perHour ? offer : best), first);
  return { offers: [], refusal: budgetReached(budget, cheapest, billing) };
}

function budgetReached(budget: Budget, { price }: Offer, billing: BillingRule): GpuRunError {
  const { name, spentBeforeUsd: spent } = budget;
  const whole = formatUsd(budget.budgetUsd ?? 0);
  const left = budgetLeft(budget);
  const said = spent > 0 ? `Of the budget of ${whole} for '${name}' earlier attempts have spent ${formatUsd(spent)}` : `The budget for '${name}' is ${whole}`;
  const buys = Math.floor((left / price.perHour) * 3600);
  const rest =
    left === 0 ? 'nothing is left' : `at ${formatUsd(price.perHour)} an hour the rest buys ${buys} s, and ${leastSeconds(billing)} s are billed at least`;
  return new GpuRunError('budget', `${said}: ${rest}. Nothing more was ordered.`, {
    retry: 'elsewhere',
    leftBehind: 'nothing',
    elsewhere: { rulesOut: 'provider' },
    hints: [
      'Give more with --budget: it is what the whole run may cost, earlier attempts included.',
      ...(spent > 0 ? ['gpu-run cost   shows what was spent. Another name, or this one 12 hours later, is another run with a budget of its own.'] : []),
    ],
  });
}
