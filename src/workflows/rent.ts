/** From a need to a machine that is ready: provider by provider, offer by offer, each failure deciding what is tried next. */
import { billingOf } from '../core/billing.ts';
import { type Attempt, type GpuRunError, toGpuRunError } from '../core/errors.ts';
import type { Offer } from '../core/offer.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import { spentByRun, withinBudget } from './budget-spent.ts';
import type { RunContext } from './context.ts';
import { type LaunchInput, launchOffer } from './launch-offer.ts';
import { coolDown, offersLeft } from './offers-left.ts';
import { attemptAt, giveUp, nothingFits, type Verdict, verdictOf, whyNot } from './up-failure.ts';
import { deadlineFor, type UpInput } from './up-input.ts';

/** A place without stock is asked last for so long. */
const coolDownMs = 30 * 60_000;
/** Machines that were made and did not get ready: after so many replacements it is no accident any more. */
const mostReplacements = 3;
/** Orders in a row that the provider did not answer, or answered in an unknown way: then it is the provider, not the place. */
const mostUnanswered = 3;

/** What one provider refuses for good and another may grant. After any other failure that nothing helps against, nothing more is tried. */
const ofOneProvider: ReadonlySet<string> = new Set<GpuRunError['code']>([
  'no-capacity',
  'quota',
  'not-allowed',
  'bad-input',
  'not-found',
  'unfit',
  'lost',
  'preempted',
  'budget',
  'connection',
  'protocol',
]);

/**
 * `attempts` takes up each place that was tried. null: another gpu-run has just opened the same name.
 * @throws GpuRunError the one failure, or one that tells of all; `interrupted` and `still-billing` at once
 */
export async function rent(input: UpInput, attempts: Attempt[], context: RunContext): Promise<MachineEntry | null> {
  const verdicts: Verdict[] = [];
  for (const provider of input.providers) {
    const outcome = await rentAt(provider, input, attempts, context);
    if (outcome === null || 'id' in outcome) return outcome;
    verdicts.push(outcome);
    const next = input.providers[verdicts.length];
    if (next !== undefined) tell(`Nothing at ${provider}: ${whyNot(outcome.failure)}; trying ${next}`, context);
  }
  throw giveUp(input, verdicts, attempts);
}

async function rentAt(provider: string, input: UpInput, attempts: Attempt[], context: RunContext): Promise<MachineEntry | Verdict | null> {
  let offers: readonly Offer[];
  try {
    offers = await offersOf(provider, input, context);
  } catch (error) {
    return nothingAt(provider, stopUnlessNext(error, input, attempts), [], attempts);
  }
  const billing = billingOf((await context.providers.get(provider)).traits);
  const failures: GpuRunError[] = [];
  let replaced = 0;
  let unanswered = 0;
  for (let left = offers; left[0] !== undefined; ) {
    const spentBeforeUsd = spentByRun(input.name, context); // more than before, when the last attempt was billed
    const within = withinBudget(left, { ...input, spentBeforeUsd }, billing);
    const [offer] = within.offers;
    if (offer === undefined) return nothingAt(provider, within.refusal ?? nothingFits(input, [provider]), failures, attempts);
    const outcome = await launch(
      { ...input, offer, spentBeforeUsd, deadline: deadlineFor(input, offer, context.clock.now(), spentBeforeUsd) },
      attempts,
      context,
    );
    if (outcome.failure === null) return outcome.machine;
    const failure = stopUnlessNext(outcome.failure, input, attempts);
    failures.push(failure);
    replaced += outcome.existed ? 1 : 0;
    unanswered = !outcome.existed && saysNothing(failure) ? unanswered + 1 : 0;
    if (failure.retry === 'never' || replaced > mostReplacements || unanswered >= mostUnanswered) return { provider, failure, failures };
    left = offersLeft(within.offers.slice(1), offer, failure.elsewhere);
    if (left[0] !== undefined) tell(`${whyNot(failure, offer)}; trying ${left[0].zone ?? left[0].region ?? left[0].type}`, context);
  }
  if (failures.length > 0) return verdictOf(provider, failures);
  const failure = nothingFits(input, [provider]);
  attempts.push(attemptAt({ provider, region: null, zone: null, type: null }, failure));
  return { provider, failure, failures };
}

/** It came to no order there. `before`: what failed before that. */
function nothingAt(provider: string, failure: GpuRunError, before: readonly GpuRunError[], attempts: Attempt[]): Verdict {
  attempts.push(attemptAt({ provider, region: null, zone: null, type: null }, failure));
  return { provider, failure, failures: [...before, failure] };
}

function saysNothing({ code }: GpuRunError): boolean {
  return code === 'connection' || code === 'protocol';
}

/** `attempts` takes it up. @throws GpuRunError `still-billing`, with all that was tried before it */
async function launch(input: LaunchInput, attempts: Attempt[], context: RunContext) {
  const { offer } = input;
  try {
    const outcome = { failure: null, existed: false, ...(await launchOffer(input, context)) };
    if (outcome.failure !== null || outcome.machine !== null) attempts.push(attemptAt(offer, outcome.failure));
    return outcome;
  } catch (error) {
    const failure = toGpuRunError(error);
    attempts.push(attemptAt(offer, failure));
    throw giveUp(input, [{ provider: offer.provider, failure, failures: [failure] }], attempts);
  }
}

/** Best first; those that were out of stock a short while ago last. */
async function offersOf(id: string, input: UpInput, context: RunContext): Promise<readonly Offer[]> {
  context.reporter.report({ type: 'phase', phase: 'offers', status: 'begin', text: 'Looking for a machine' });
  const provider = await context.providers.get(id);
  const offers: Offer[] = [];
  for await (const offer of provider.offers(input.need, context.signal)) offers.push(offer);
  if (offers.length < 2) return offers;
  const recent = context.ledger.list({ since: context.clock.now() - coolDownMs });
  return coolDown(
    offers,
    recent.filter(({ neverMade }) => neverMade === 'no-capacity').map(({ offer }) => offer),
  );
}

/** @throws GpuRunError the failure, with all that was tried, unless another offer or provider may do better */
function stopUnlessNext(error: unknown, input: UpInput, attempts: readonly Attempt[]): GpuRunError {
  const failure = toGpuRunError(error);
  if (failure.retry !== 'never' || ofOneProvider.has(failure.code)) return failure;
  throw giveUp(input, [{ provider: '', failure, failures: [failure] }], attempts);
}

function tell(text: string, context: RunContext): void {
  context.reporter.report({ type: 'note', level: 'info', text });
}
