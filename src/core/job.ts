/** A job: one command on a machine. Its wire form stands in `protocol/`; this is what the laptop keeps. */

import type { JobEnd, JobState } from '../protocol/job.ts';
import type { ProcessIdentity } from './process-identity.ts';

export type { Checkpoint, JobCommand, JobEnd, JobRecord, JobState, JobSummary, MetricSource } from '../protocol/job.ts';
export type { LogStream } from '../protocol/log.ts';
export type { GpuSample, TelemetrySample, TelemetrySpan } from '../protocol/telemetry.ts';

export interface JobEntry {
  readonly id: string;
  readonly machineId: string;
  readonly machineName: string;
  /** As shown to people; never with a secret. */
  readonly command: string;
  readonly state: JobState;
  readonly end: JobEnd | null;
  /** Which attempt this is, from 1: machine, state, end and times are this one's. */
  readonly attempts: number;
  /** The attempts before it, in order. Absent: none. */
  readonly earlier?: readonly PastAttempt[];
  /** It has ended, and whoever follows it is about to start it again. Absent: nobody is. */
  readonly again?: boolean;
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
  /** Its own folder of checkpoints, relative to the workdir, as other jobs may run beside it or have saved there; absent: what its outputs and `retry.resume-from` say. */
  readonly checkpoints?: string;
  /** Who will fetch its outputs: until it has, or is dead, nobody else takes the machine down. Absent or null: nobody, any more. */
  readonly awaitedBy?: ProcessIdentity | null;
  /** Who starts it again should its machine be lost; absent or null: nobody. */
  readonly retriedBy?: ProcessIdentity | null;
  /** Somebody here wants its end: should its machine be lost instead, it is not started again. Absent: nobody does. */
  readonly cancelAsked?: boolean;
  /** Its machine has taken it into its queue. Absent: that was not heard. */
  readonly arrived?: boolean;
  /** What it waits for, in words without a full stop, as of `asOf`; absent or null: it does not wait, or nobody has asked. */
  readonly waitsFor?: string | null;
}

/** An attempt that was cut short, and followed by another one. */
export interface PastAttempt {
  readonly machineId: string;
  /** As in `JobEntry`. */
  readonly gpus?: JobEntry['gpus'];
  readonly end: JobEnd | null;
  /** Milliseconds since the epoch; null: it never started. */
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  /** What is kept here of the job's log and records up to its end, the attempts before it included: the next one's follow behind. */
  readonly logBytes: number;
  /** The same of stderr, where the job keeps it apart. */
  readonly errBytes: number;
  readonly records: number;
}

/** Where the present attempt's log and records begin within the job's. */
export function attemptStart({ earlier = [] }: Pick<JobEntry, 'earlier'>): Pick<PastAttempt, 'logBytes' | 'errBytes' | 'records'> {
  return earlier.at(-1) ?? { logBytes: 0, errBytes: 0, records: 0 };
}

/** What the present attempt is called on its machine: each has a folder of its own there, and processes that are known by it. */
export function runnerJobId({ id, attempts }: Pick<JobEntry, 'id' | 'attempts'>): string {
  return attempts === 1 ? id : `${id}_${attempts}`;
}

/** The job that an attempt belongs to. Ids of jobs themselves have no `_`. */
export function jobIdOf(runnerId: string): string {
  return runnerId.replace(/_\d+$/, '');
}
