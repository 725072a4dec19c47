/** Why there is no machine: one failure as it stands, or one error that tells of all that was tried. Pure. */
import { type Attempt, type ErrorCode, GpuRunError } from '../core/errors.ts';
import type { Offer } from '../core/offer.ts';
import { describeNeed, type UpInput } from './up-input.ts';

/** What became of one provider. */
export interface Verdict {
  readonly provider: string;
  /** The one that decides. */
  readonly failure: GpuRunError;
  /** Empty: it had no offer. */
  readonly failures: readonly GpuRunError[];
}

/** As many as a person reads. */
const mostHints = 8;

/** Nothing is left to try there. */
export function verdictOf(provider: string, failures: readonly [GpuRunError, ...GpuRunError[]] | readonly GpuRunError[]): Verdict {
  const failure = mostTelling(failures) ?? failures.at(-1);
  if (failure === undefined) throw new GpuRunError('internal', `${provider} failed without a failure`);
  return { provider, failure, failures };
}

/** A single failure stays what it is. Of several providers, budget, quota and capacity decide over what kept another from being asked. */
export function giveUp(input: UpInput, verdicts: readonly Verdict[], attempts: readonly Attempt[]): GpuRunError {
  const failures = verdicts.flatMap(({ failures: each }) => each);
  const decisive = verdicts.map(({ failure }) => failure);
  const tried = verdicts.flatMap(({ failure, failures: each }) => (each.length === 0 ? [] : [failure]));
  const main = mostTelling(tried) ?? tried[0] ?? decisive[0] ?? nothingFits(input, input.providers);
  const hints = [...new Set([...main.hints, ...decisive.flatMap((each) => each.hints), ...failures.flatMap((each) => each.hints)])];
  const message = messageFor(input, verdicts, main);
  return new GpuRunError(main.code, message, {
    hints: verdicts.length === 1 && failures.length <= 1 ? main.hints : hints.slice(0, mostHints),
    retry: main.retry,
    elsewhere: main.elsewhere,
    leftBehind: main.leftBehind,
    attempts,
    cause: message === main.message ? (main.cause ?? main) : main,
  });
}

function messageFor(input: UpInput, verdicts: readonly Verdict[], main: GpuRunError): string {
  const [only] = verdicts;
  if (only === undefined) return main.message;
  if (verdicts.length === 1) return sayOne(input, only);
  return [`No machine could be had (${describeNeed(input.need)}).`, ...verdicts.map((each) => `${each.provider}: ${sayOne(input, each)}`)].join('\n');
}

function sayOne({ need }: UpInput, { provider, failure, failures }: Verdict): string {
  if (failures.length <= 1 || failure.retry === 'never' || failure.code === 'budget') return failure.message;
  const counts = new Map<ErrorCode, number>();
  for (const { code } of failures) counts.set(code, (counts.get(code) ?? 0) + 1);
  if (counts.size === 1 && failures.every(({ message }) => message === failure.message)) return failure.message;
  const kinds = [...counts].map(([code, count]) => `${outcomeTexts[code] ?? code} ${count === 1 ? 'once' : `${count} times`}`);
  return `No machine could be had at ${provider} (${describeNeed(need)}) in ${failures.length} tries: ${kinds.join(', ')}. ${failure.message}`;
}

const outcomeTexts: Readonly<Partial<Record<ErrorCode, string>>> = {
  'no-capacity': 'out of stock',
  quota: 'over quota',
  unfit: 'not fit for work',
  lost: 'lost while starting',
  preempted: 'taken back while starting',
  connection: 'out of reach',
  protocol: 'an answer that is not understood',
};

/** `us-central1-a has no L4 now`, without a full stop. `offer`: what was tried; absent: it never came to that. */
export function whyNot(failure: GpuRunError, offer?: Offer): string {
  const [first = ''] = failure.message.split(/[.:](?:\s|$)|\n/);
  if (offer === undefined) return first;
  const what = offer.gpu?.name ?? offer.type;
  if (failure.code === 'no-capacity') return `${scopeOf(failure, offer)} has no ${what} now`;
  if (failure.code === 'quota') return `${scopeOf(failure, offer)}: the quota allows no more ${what}`;
  return `${placeIn(offer)}: ${first}`;
}

function scopeOf({ elsewhere }: GpuRunError, offer: Offer): string {
  if (elsewhere.rulesOut === 'provider') return offer.provider;
  return elsewhere.rulesOut === 'region' && offer.region !== null ? offer.region : placeIn(offer);
}

function placeIn({ provider, region, zone }: Offer): string {
  return zone ?? region ?? provider;
}

export function attemptAt({ provider, region, zone, type }: Omit<Attempt, 'error'>, failure: GpuRunError | null): Attempt {
  return { provider, region, zone, type, error: failure === null ? null : { code: failure.code, message: failure.message, hints: failure.hints } };
}

export function nothingFits({ need }: UpInput, providers: readonly string[]): GpuRunError {
  return new GpuRunError('no-capacity', `No machine fits (${describeNeed(need)}) at ${providers.join(', ')}.`, {
    hints: ['gpu-run offers   shows what could be rented', 'Ask for another --gpu, or let --region and --spot open.'],
  });
}

/** Money and quota come first: they are what one can do something about. */
function mostTelling(failures: readonly GpuRunError[]): GpuRunError | undefined {
  const codes: readonly ErrorCode[] = ['budget', 'quota', 'no-capacity'];
  return codes.map((code) => failures.find((failure) => failure.code === code)).find((failure) => failure !== undefined);
}
