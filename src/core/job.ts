/** A job: one command on a machine. Its wire form stands in `protocol/`; this is what the laptop keeps. */
import type { JobEnd, JobState } from '../protocol/job.ts';

export type { Checkpoint, JobCommand, JobEnd, JobRecord, JobState, MetricSource } from '../protocol/job.ts';
export type { TelemetrySpan } from '../protocol/telemetry.ts';

export interface JobEntry {
  readonly id: string;
  readonly machineId: string;
  readonly machineName: string;
  /** As shown to people; never with a secret. */
  readonly command: string;
  readonly state: JobState;
  readonly end: JobEnd | null;
  readonly attempts: number;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  /** When the runner last told us about it. */
  readonly asOf: number;
  readonly user: string;
  readonly branch: string | null;
  /** The project's commit, 40 or 64 hex digits; absent or null: none is known. */
  readonly commit?: string | null;
  /** How many it takes of how many GPUs that the machine has; absent or null: it has the machine to itself. */
  readonly gpus?: { readonly count: number; readonly of: number } | null;
  /** Which of them it was given, as the driver counts them; absent or null: all, or none yet, or nobody has asked. */
  readonly givenGpus?: readonly number[] | null;
  /** What it waits for, in words without a full stop, as of `asOf`; absent or null: it does not wait, or nobody has asked. */
  readonly waitsFor?: string | null;
}
