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
}

/** How long the first reading may take: where nothing keeps the driver loaded, that takes seconds a GPU. */
export const firstWithinMs = 60_000;
/** And the next ones. */
export const nextWithinMs = 10_000;
/** The pauses between starts of a source that ends or fails: from, to. */
export const againAfterMs = [1_000, 60_000] as const;
