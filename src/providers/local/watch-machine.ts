/** Decides when a local machine ends by itself. */
import type { Clock } from '../../core/clock.ts';

export interface Watched {
  /** Milliseconds since the epoch; asked at each look, since it may be moved. */
  deadline(): number;
  /** null: no idle limit. */
  readonly idleSeconds: number | null;
  /** Whether somebody is connected or a job runs. Looking costs some milliseconds. One that throws counts as busy until the next look. */
  isBusy(): boolean;
  /** Whether its folder is still there: without it nobody could ever find the machine again. */
  exists(): boolean;
}

const lookEveryMs = 1_000;

/**
 * Resolves with the reason, in words, once the machine has to end. Looks at the wall clock each second instead of setting one
 * long timer: a laptop that slept over the deadline notices within a second of waking up.
 * @throws the signal's reason when aborted
 */
export async function watchMachine(watched: Watched, clock: Clock, signal: AbortSignal): Promise<string> {
  const { idleSeconds } = watched;
  let idleSince: number | null = null;
  let nextBusyLook = clock.now();
  for (;;) {
    const now = clock.now();
    const deadline = watched.deadline();
    if (!watched.exists()) return 'its folder was removed';
    if (now >= deadline) return 'it reached its deadline';
    if (idleSeconds !== null && now >= nextBusyLook) {
      idleSince = mayBeBusy(watched) ? null : (idleSince ?? now);
      if (idleSince !== null && now - idleSince >= idleSeconds * 1000) return `it was idle for ${idleSeconds} seconds`;
      nextBusyLook = now + busyLookEveryMs(idleSeconds);
    }
    await clock.sleep(Math.min(lookEveryMs, deadline - now), signal);
  }
}

/** True also when it can't be told now (too many open files): no job is ended for that. */
function mayBeBusy(watched: Watched): boolean {
  try {
    return watched.isBusy();
  } catch {
    return true;
  }
}

/** Looking for jobs reads the whole process table: for long limits more seldom, never more than a twentieth late. */
function busyLookEveryMs(idleSeconds: number): number {
  return Math.min(Math.max(idleSeconds * 50, lookEveryMs), 30_000);
}
