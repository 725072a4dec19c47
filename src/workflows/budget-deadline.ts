/** What a budget says about a machine's deadline. */
import { type BillingRule, leastSeconds } from '../core/billing.ts';
import type { Offer } from '../core/offer.ts';
import type { MachineEntry } from '../ledger/ledger.ts';

type Budgeted = Pick<MachineEntry, 'budgetUsd' | 'spentBeforeUsd'>;
type Bought = Budgeted & Pick<MachineEntry, 'offer' | 'createdAt' | 'begunAt'>;

/** What of the run's budget is left for this machine, US dollars; infinite without a budget. */
export function budgetLeft({ budgetUsd, spentBeforeUsd = 0 }: Budgeted): number {
  return budgetUsd === null ? Number.POSITIVE_INFINITY : Math.max(0, budgetUsd - spentBeforeUsd);
}

/** Milliseconds that the rest of the budget buys at the offer's price; infinite without a budget, and where nothing is billed. */
export function affordableMs(budget: Budgeted, { price }: Pick<Offer, 'price'>): number {
  return budget.budgetUsd === null || price.perHour === 0 ? Number.POSITIVE_INFINITY : (budgetLeft(budget) / price.perHour) * 3_600_000;
}

/** Until when the budget lasts, milliseconds since the epoch; infinite without a budget, and where nothing is billed. */
export function affordableUntil(machine: Bought): number {
  return (machine.begunAt ?? machine.createdAt) + affordableMs(machine, machine.offer);
}

/** The deadline is reckoned a moment before the order is written down, milliseconds. */
const orderingMs = 5_000;

/** The money has set the deadline, and not the time limit. */
export function isBought(machine: Bought & Pick<MachineEntry, 'deadline'>): boolean {
  return machine.deadline >= affordableUntil(machine) - orderingMs;
}

/** The rest of the budget buys what would be billed at least, and more than nothing. */
export function isAffordable(budget: Budgeted, offer: Pick<Offer, 'price'>, billing: BillingRule): boolean {
  return affordableMs(budget, offer) >= leastSeconds(billing) * 1000;
}
