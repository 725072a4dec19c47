/** Whoever follows a job hears when half of the budget is spent, and when 80 % are; `status` tells which of the two was the last. */
import { formatMoment } from '../core/duration.ts';
import { formatUsd } from '../core/money.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import { spentBy } from './budget-spent.ts';
import type { RunContext } from './context.ts';
import type { OnJobEvent } from './job-event.ts';
import { spanOf } from './report-cost.ts';

const warnedShares = [0.5, 0.8] as const;
/** A timer stands still while the computer sleeps: the time is looked at this often, and compared with the moment that is waited for. */
const longestSleepMs = 60_000;

export interface BudgetUse {
  readonly usd: number;
  /** By the run: this machine and those before it. */
  readonly spentUsd: number;
  /** The last one that was reached of the shares that are warned of (0.5, 0.8); null: none. */
  readonly reached: number | null;
  /** A sentence without a full stop; null while nothing is reached. */
  readonly warning: string | null;
}

/** null: without a budget, and where nothing is billed. */
export function budgetUse(machine: MachineEntry, { clock }: Pick<RunContext, 'clock'>): BudgetUse | null {
  const usd = machine.budgetUsd;
  if (usd === null || machine.offer.price.perHour === 0) return null;
  const spentUsd = spentBy(machine, { clock });
  const reached = warnedShares.findLast((share) => spentUsd >= usd * share * (1 - 1e-9)) ?? null;
  return { usd, spentUsd, reached, warning: reached === null ? null : warningOf(machine, usd, spentUsd) };
}

/** Each share once, and of those that were reached before, the last alone. Dispose it: that ends it. */
export function warnOfBudget(machine: MachineEntry, tell: OnJobEvent, context: Pick<RunContext, 'ledger' | 'clock'>): AsyncDisposable {
  const over = new AbortController();
  const watching = watch(machine, tell, context, over.signal).catch(() => {}); // whoever can't be told hears of it from the job's own events
  return {
    [Symbol.asyncDispose]: async () => {
      over.abort();
      await watching;
    },
  };
}

async function watch(machine: MachineEntry, tell: OnJobEvent, { ledger, clock }: Pick<RunContext, 'ledger' | 'clock'>, signal: AbortSignal): Promise<void> {
  for (let told = 0; ; ) {
    const now = clock.now();
    const known = ledger.get(machine.id) ?? machine; // its beginning may have become known, its deadline moved
    const use = budgetUse(known, { clock });
    if (use === null) return;
    const moments = reachings(known, now);
    if (use.reached !== null && use.warning !== null && use.reached > told) {
      told = use.reached;
      const at = moments.find(({ share }) => share === told)?.at ?? now;
      await tell({ type: 'note', at: Math.min(at, now), level: 'warn', text: use.warning });
    }
    const next = moments.find(({ at }) => at > now);
    if (next === undefined) return;
    await clock.sleep(Math.min(next.at - now, longestSleepMs), signal);
  }
}

interface Reaching {
  readonly share: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** When each share is spent, or was, if the machine lives so long. What is billed at least is spent at once. */
function reachings(machine: MachineEntry, now: number): Reaching[] {
  const { budgetUsd, spentBeforeUsd = 0, offer, billing } = machine;
  const { from } = spanOf(machine, now);
  return warnedShares.map((share) => {
    const ms = Math.ceil((((budgetUsd ?? 0) * share - spentBeforeUsd) / offer.price.perHour) * 3_600_000);
    return { share, at: ms <= (billing?.minimumSeconds ?? 0) * 1000 ? from : from + ms };
  });
}

function warningOf({ name, deadline }: MachineEntry, usd: number, spentUsd: number): string {
  const percent = Math.floor((spentUsd / usd) * 100 + 1e-6);
  return `${percent} % of the budget of ${formatUsd(usd)} is spent (${formatUsd(spentUsd)}): '${name}' ends at ${formatMoment(deadline)} at the latest`;
}
