/** `up`: from a need to a machine that is ready. Reuses a live machine of the same name. */
import { billingOf } from '../core/billing.ts';
import { type Attempt, toGpuRunError } from '../core/errors.ts';
import { costOf } from '../core/money.ts';
import type { Offer } from '../core/offer.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import { spentByRun, withinBudget } from './budget-spent.ts';
import type { RunContext } from './context.ts';
import { checkFits, reuse, settleExisting } from './existing-machine.ts';
import { protectionOf } from './protection.ts';
import { recover } from './recover.ts';
import { rent } from './rent.ts';
import { giveUp, nothingFits, type Verdict } from './up-failure.ts';
import { deadlineFor, type UpInput } from './up-input.ts';

export type { UpInput } from './up-input.ts';

export interface UpResult {
  readonly machine: MachineEntry;
  readonly reused: boolean;
  readonly attempts: readonly Attempt[];
  /** Who ends the machine at its deadline if nobody comes back, in words. Empty: nobody. */
  readonly protection: readonly string[];
}

export interface UpPlan {
  /** Best first. */
  readonly offers: readonly Offer[];
  /** The first offer's price until the deadline; null without offers. */
  readonly worstCaseUsd: number | null;
  /** Milliseconds since the epoch. */
  readonly deadline: number;
  /** A live machine of that name would be reused. */
  readonly existing: MachineEntry | null;
}

/**
 * @throws GpuRunError `no-capacity` when nothing fits, `budget` when what is left of it buys nothing, `conflict` when the name is taken by a different machine, what the
 * provider said when no offer worked out, `interrupted` after everything was undone, `still-billing` when that failed. It carries
 * `attempts`: all that was tried.
 */
export async function up(input: UpInput, context: RunContext): Promise<UpResult> {
  await recover(context);
  const attempts: Attempt[] = [];
  for (;;) {
    const existing = await settleExisting(input.name, context);
    if (existing !== null)
      return { machine: reuse(checkFits(existing, input), input, context), reused: true, attempts, protection: await safety(existing, context) };
    const made = await rent(input, attempts, context);
    if (made !== null) return { machine: made, reused: false, attempts, protection: await safety(made, context) };
  } // null: another gpu-run has just opened the same name; use its machine
}

/** `--dry-run`: what `up` would do. Costs nothing and changes nothing. @throws GpuRunError `no-capacity` when nothing fits, `budget` */
export async function planUp(input: UpInput, context: RunContext): Promise<UpPlan> {
  const spentBeforeUsd = spentByRun(input.name, context);
  const offers = await findOffers(input, spentBeforeUsd, context);
  const best = offers[0];
  const now = context.clock.now();
  const deadline = best === undefined ? now : deadlineFor(input, best, now, spentBeforeUsd);
  const existing = context.ledger.list({ name: input.name, live: true })[0] ?? null;
  if (best === undefined && existing === null) throw nothingFits(input, input.providers);
  return { offers, deadline, worstCaseUsd: best === undefined ? null : costOf(best.price, (deadline - now) / 1000), existing };
}

/** A provider that can't be asked keeps no other from being asked. */
async function findOffers(input: UpInput, spentBeforeUsd: number, context: RunContext): Promise<readonly Offer[]> {
  context.reporter.report({ type: 'phase', phase: 'offers', status: 'begin', text: 'Looking for a machine' });
  const offers: Offer[] = [];
  const verdicts: Verdict[] = [];
  for (const id of input.providers) {
    try {
      const provider = await context.providers.get(id);
      const found: Offer[] = [];
      for await (const offer of provider.offers(input.need, context.signal)) found.push(offer);
      const within = withinBudget(found, { ...input, spentBeforeUsd }, billingOf(provider.traits));
      if (within.refusal !== null) throw within.refusal;
      offers.push(...within.offers);
    } catch (error) {
      const failure = toGpuRunError(error);
      if (input.providers.length === 1 || context.signal.aborted) throw failure;
      context.reporter.report({ type: 'note', level: 'warn', text: `${failure.code === 'budget' ? id : `${id} can't be asked`}: ${failure.message}` });
      verdicts.push({ provider: id, failure, failures: [failure] });
    }
  }
  if (verdicts.length > 0 && offers.length === 0) throw giveUp(input, verdicts, []);
  return offers;
}

async function safety(machine: MachineEntry, context: RunContext): Promise<string[]> {
  const { traits } = await context.providers.get(machine.provider);
  return protectionOf(machine, traits);
}
