/** What a budget says about a machine's deadline. */
import type { MachineEntry } from '../ledger/ledger.ts';

type Bought = Pick<MachineEntry, 'budgetUsd' | 'offer' | 'createdAt'>;

/** Until when the budget lasts, milliseconds since the epoch; infinite without a budget, and where nothing is billed. */
export function affordableUntil({ budgetUsd, offer, createdAt }: Bought): number {
  const { perHour } = offer.price;
  return budgetUsd === null || perHour === 0 ? Number.POSITIVE_INFINITY : createdAt + (budgetUsd / perHour) * 3_600_000;
}

/** The money has set the deadline, and not the time limit. */
export function isBought(machine: Bought & Pick<MachineEntry, 'deadline'>): boolean {
  return machine.deadline - machine.createdAt >= (affordableUntil(machine) - machine.createdAt) * 0.999;
}
