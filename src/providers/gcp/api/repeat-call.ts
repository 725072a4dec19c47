/**
 * The one place where calls to Google are given up or tried again. Google's libraries are told never to repeat anything themselves.
 *
 * A try that fails because the rate is limited has done nothing, so any call is tried again. A try whose outcome is unknown (no answer,
 * 5xx but 501) is tried again when the call only reads, or when its `requestId` makes the second order the first one. All else ends at once.
 * Source of what is a rate limit and what is not: Compute Engine's error reference; per-minute quotas come as 403 as well as 429.
 */
import type { Clock } from '../../../core/clock.ts';
import { GpuRunError } from '../../../core/errors.ts';
import { GceError } from '../gce-error.ts';
import { tooLate } from './failed-call.ts';

/** `once`: what happens twice is not the same as once, so only a refused try is repeated. */
export type Repeatable = 'read' | 'order' | 'once';

export interface CallLimits {
  /** Milliseconds for one try. */
  readonly tryMs: number;
  /** Milliseconds for all tries together, pauses included. */
  readonly callMs: number;
}

export interface Repetition {
  readonly call: string;
  readonly repeatable: Repeatable;
  readonly limits: CallLimits;
  readonly clock: Clock;
  readonly signal: AbortSignal | undefined;
  /** From 0 to 1; spreads the pauses of many processes. */
  readonly random: () => number;
}

/** Tries of one call at most: with pauses of 0.5 s doubling to 8 s (rate limits: 1 s to 16 s), less up to half by chance. */
const mostTries = 6;

/** No capacity and concurrent-operation limits look like trouble of the server, but waiting here does not help. */
const notInPlace = /insufficientCapacity|POOL_EXHAUSTED|STOCKOUT|CONCURRENT_OPERATIONS_QUOTA_EXCEEDED|RESOURCE_OPERATION_RATE_EXCEEDED/;
const rateLimits = /^(rateLimitExceeded|userRateLimitExceeded|RATE_LIMIT_EXCEEDED)$/;

/** @throws what the last try threw, the signal's reason, or `GceError` without a status when time is up */
export async function repeatCall<T>(attempt: (signal: AbortSignal) => Promise<T>, repetition: Repetition): Promise<T> {
  const { limits, clock, signal, random } = repetition;
  const until = clock.now() + limits.callMs;
  let doubt = false;
  for (let tries = 1; ; tries++) {
    try {
      return await within(attempt, Math.min(limits.tryMs, until - clock.now()), repetition);
    } catch (thrown) {
      if (signal?.aborted) throw signal.reason;
      const pause = tries < mostTries ? pauseAfter(thrown, tries, repetition.repeatable, random()) : null;
      if (pause === null || clock.now() + pause >= until) throw lastWord(thrown, doubt);
      doubt ||= thrown instanceof GceError && thrown.outcomeUnknown;
      await clock.sleep(pause, signal);
    }
  }
}

/** `doubt`: an earlier try may have taken effect. Without a token nothing was sent. */
function lastWord(thrown: unknown, doubt: boolean): unknown {
  if (thrown instanceof GceError) return doubt ? thrown.inDoubt() : thrown;
  if (doubt || !(thrown instanceof GpuRunError) || thrown.code === 'internal') return thrown;
  const { code, message, hints, retry, elsewhere, backOff, cause } = thrown;
  return new GpuRunError(code, message, { hints, retry, elsewhere, backOff, cause, leftBehind: 'nothing' });
}

/** Milliseconds until the next try; null: there is to be none. */
export function pauseAfter(thrown: unknown, tries: number, repeatable: Repeatable, chance: number): number | null {
  const spread = 1 - chance / 2;
  const plain = Math.min(8_000, 500 * 2 ** (tries - 1)) * spread;
  // The token endpoint could not be reached: the call itself was never sent.
  if (thrown instanceof GpuRunError) return thrown.code === 'connection' ? plain : null;
  if (!(thrown instanceof GceError)) return null;
  const names = [...thrown.reasons, ...thrown.details.map(({ reason }) => reason)];
  if (names.some((name) => notInPlace.test(name))) return null;
  if (isRateLimit(thrown, names)) return Math.max(thrown.retryAfterMs ?? 0, Math.min(16_000, 1_000 * 2 ** (tries - 1)) * spread);
  if (thrown.outcomeUnknown && thrown.status !== 501 && repeatable !== 'once') return Math.max(thrown.retryAfterMs ?? 0, plain);
  return null;
}

function isRateLimit({ status, message }: GceError, names: readonly string[]): boolean {
  if (status === 429) return true;
  return status === 403 && (names.some((name) => rateLimits.test(name)) || /^Quota exceeded for quota metric .* per (minute|second)/i.test(message));
}

async function within<T>(attempt: (signal: AbortSignal) => Promise<T>, ms: number, { call, clock, signal, limits }: Repetition): Promise<T> {
  const late = new AbortController();
  const ended = new AbortController();
  clock.sleep(ms, ended.signal).then(
    () => late.abort(tooLate(call, ms < limits.tryMs ? limits.callMs : ms)),
    () => {},
  );
  const stop = signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]);
  try {
    return await untilAborted(attempt(stop), stop);
  } finally {
    ended.abort();
  }
}

/** Ends with the signal's reason as soon as it is aborted, however long the promise goes on. */
export async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    if (stop !== undefined) signal.removeEventListener('abort', stop);
  }
}
