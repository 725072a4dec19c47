/** A running look at the GPUs, whoever it comes from. */
import type { GpuProcess, GpuSample, TelemetrySample } from '../src/protocol/telemetry.ts';

/** What was told last. */
export interface GpuReading {
  readonly source: TelemetrySample['source'];
  /** In words without a full stop; null: nothing is wrong, or the machine has no GPU. */
  readonly problem: string | null;
  readonly gpus: readonly GpuSample[];
  readonly processes: readonly Omit<GpuProcess, 'job'>[];
}

export interface GpuFeed {
  /** The newest; null: nothing was told yet. */
  latest(): GpuReading | null;
  /** Never waits for anything. Idempotent. */
  close(): void;
}

export interface GpuFeedOptions {
  readonly env: NodeJS.ProcessEnv;
  /** Milliseconds between two readings. */
  readonly everyMs: number;
  /** Whether the processes on the GPUs are wanted, too. */
  readonly withProcesses: boolean;
  readonly times?: FeedTimes;
}

/** It tells nothing of what every GPU tells something of: it has fallen off the bus, or its driver is in trouble. */
export function isSilent({ memoryTotalBytes, temperatureC, utilization }: GpuSample): boolean {
  return memoryTotalBytes === null && temperatureC === null && utilization === null;
}

/** Milliseconds. */
export interface FeedTimes {
  /** How long the first reading may take: where nothing keeps the driver loaded, that takes seconds a GPU. */
  readonly firstWithin: number;
  /** And how much later than due the next ones may be. */
  readonly nextWithin: number;
  /** The pause before a source that ended or failed is started again; it doubles up to the longest. */
  readonly again: number;
  readonly longestAgain: number;
}

export const feedTimes: FeedTimes = { firstWithin: 60_000, nextWithin: 10_000, again: 1_000, longestAgain: 60_000 };

/** Starts something again: after a pause that doubles until it has worked. */
export interface Restart {
  later(): void;
  worked(): void;
  stop(): void;
}

export function restartBy({ again, longestAgain }: FeedTimes, start: () => void): Restart {
  let pause = again;
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;
  return {
    later() {
      if (isOver) return;
      timer = setTimeout(start, pause);
      timer.unref();
      pause = Math.min(pause * 2, longestAgain);
    },
    worked() {
      pause = again;
    },
    stop() {
      isOver = true;
      clearTimeout(timer);
    },
  };
}
