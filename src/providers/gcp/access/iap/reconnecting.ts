/** How long and how often a broken tunnel is tried again. Source of the numbers: gcloud 528. */
import type { Clock } from '../../../../core/clock.ts';
import { GpuRunError } from '../../../../core/errors.ts';

const firstPauseMs = 1_500;
const longestPauseMs = 20_000;
const giveUpAfterMs = 15 * 60_000;

export interface Reconnecting {
  readonly clock: Clock;
  /** false: the last connection was of no use, so there is a pause before the first attempt, too. */
  readonly atOnce: boolean;
  readonly signal: AbortSignal;
}

/** With pauses that grow. null: it worked; else what failed last, where trying again is of no use any more. */
export async function reconnecting(attempt: () => Promise<void>, { clock, atOnce, signal }: Reconnecting): Promise<{ readonly cause: unknown } | null> {
  const since = clock.now();
  for (let pause = atOnce ? 0 : firstPauseMs; ; pause = pause === 0 ? firstPauseMs : Math.min(pause * 1.1, longestPauseMs)) {
    try {
      if (pause > 0) await clock.sleep(pause, signal);
      await attempt();
      return null;
    } catch (cause) {
      if (signal.aborted || isFinal(cause) || clock.now() - since >= giveUpAfterMs) return { cause };
    }
  }
}

function isFinal(error: unknown): boolean {
  return error instanceof GpuRunError && (error.retry === 'never' || ('final' in error && error.final === true));
}
