/** A connection that is lost, and how long it is tried to get another one. May import core and protocol. */
import type { Clock } from '../core/clock.ts';
import { GpuRunError } from '../core/errors.ts';
import { DamagedFrameError } from '../protocol/frame.ts';

export interface OutageOptions {
  readonly jobId: string;
  readonly clock: Clock;
  /** Told once when the connection is lost, and once when there is one again. */
  readonly onLink: (state: 'reconnecting' | 'connected', text: string) => void;
  /** How long to go on trying without a connection, milliseconds. Default: 10 minutes. While this computer sleeps, nobody tries. */
  readonly giveUpAfterMs?: number;
  /** From 0 to 1: pauses vary by a quarter each way, so that many who lost a machine don't all come back at once. */
  readonly random?: () => number;
}

export interface Outage {
  /** Something has come: there is a connection. */
  heard(): void;
  /**
   * Milliseconds to wait before the next attempt. `connecting`: the failure is that of an attempt, not of a connection that was there.
   * @throws GpuRunError the failure, when trying again is of no use, or was long enough
   */
  pauseAfter(failure: GpuRunError, connecting?: boolean): number;
}

const firstPauseMs = 200;
const longestPauseMs = 10_000;
const tenMinutesMs = 600_000;
/** An attempt with its pause takes less; where the clock says more, this computer slept, or the clock was set. */
const longestAttemptMs = 90_000;
/**
 * A machine that starts anew, or shuts down, lets nobody in (PAM's nologin: "System is booting up"), or has no home folder yet: `not-allowed`
 * or `protocol`, as it also would be for good. So long without a break, of attempts, milliseconds.
 */
const refusedForMs = 180_000;
/** What arrives damaged at the same place again and again is no accident of one connection. */
const mostDamaged = 5;

/** `place`: how far we have come, in words that are only compared. */
export function createOutage(options: OutageOptions, place: () => string): Outage {
  const { jobId, clock, onLink, giveUpAfterMs = tenMinutesMs, random = Math.random } = options;
  let isLost = false;
  let triedMs = 0;
  let since = clock.now();
  let pause = firstPauseMs;
  let refusedSince: number | null = null;
  let damaged = { at: '', times: 0 };
  const refuseDamaged = (failure: GpuRunError) => {
    if (!(failure.cause instanceof DamagedFrameError)) return;
    damaged = { at: place(), times: place() === damaged.at ? damaged.times + 1 : 1 };
    if (damaged.times < mostDamaged) return;
    throw new GpuRunError('protocol', `${failure.message} It was so ${mostDamaged} times at the same place.`, { cause: failure });
  };
  const refuseFor = (failure: GpuRunError) => {
    refusedSince ??= triedMs;
    if (triedMs - refusedSince < refusedForMs) return;
    throw new GpuRunError(failure.code, failure.message, { cause: failure, hints: [howToGoOn(jobId), ...failure.hints] });
  };
  return {
    heard() {
      if (isLost) onLink('connected', 'Connected again');
      isLost = false;
      triedMs = 0;
      refusedSince = null;
      since = clock.now();
      pause = firstPauseMs;
    },
    pauseAfter(failure, connecting = false) {
      const isRefused = isLost && connecting && (failure.code === 'not-allowed' || failure.code === 'protocol');
      const isDamaged = failure.cause instanceof DamagedFrameError; // at the very first frame the code is `protocol`
      if (failure.code !== 'connection' && !isRefused && !isDamaged) throw failure;
      refuseDamaged(failure);
      triedMs += Math.min(Math.max(0, clock.now() - since), longestAttemptMs);
      since = clock.now();
      if (isRefused) refuseFor(failure);
      else refusedSince = null;
      if (triedMs >= giveUpAfterMs) throw gaveUp(failure, jobId, giveUpAfterMs);
      if (!isLost) onLink('reconnecting', `${failure.message} Reconnecting; the job goes on`);
      isLost = true;
      const now = pause * (0.75 + random() / 2);
      pause = Math.min(pause * 2, longestPauseMs);
      return now;
    },
  };
}

function gaveUp(failure: GpuRunError, jobId: string, afterMs: number): GpuRunError {
  return new GpuRunError('connection', `There was no connection for ${Math.round(afterMs / 60_000)} minutes: ${failure.message}`, {
    cause: failure,
    hints: [howToGoOn(jobId), ...failure.hints],
  });
}

function howToGoOn(jobId: string): string {
  return `${jobId} goes on without us. gpu-run logs ${jobId} --follow   picks it up again`;
}
