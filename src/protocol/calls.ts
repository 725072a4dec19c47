/**
 * The calls that the laptop makes to the runner. Imports its own folder only.
 *
 * Each call has parameters, may stream JSON events and blocks both ways, and ends with one result or error.
 * Sync has calls of its own in `sync.ts`.
 */
import type { JobRecord, JobSpec, JobSummary } from './job.ts';
import type { LogGap, LogProof, LogStream, TimeMark } from './log.ts';
import type { Codec } from './packed.ts';
import type { PreflightReport } from './preflight.ts';
import type { TelemetrySample } from './telemetry.ts';
import type { WatchdogOrder, WatchdogState } from './watchdog.ts';

export interface MachineFacts {
  readonly runnerVersion: string;
  readonly nodeVersion: string;
  readonly platform: string;
  readonly arch: string;
  readonly hostname: string;
  readonly user: string;
  /** Absolute path of the machine's folder, which holds `workdir`, `jobs` and the runner's state. */
  readonly root: string;
  readonly workdir: string;
  /** Clock of the machine, milliseconds since the epoch. */
  readonly now: number;
  readonly bootId: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly diskFreeBytes: number;
}

export interface GpuFacts {
  readonly index: number;
  readonly name: string;
  readonly uuid: string;
  readonly memoryBytes: number | null;
  readonly driver: string | null;
}

export interface Calls {
  /** Who and where the runner is. */
  hello: { params: Record<string, never>; result: MachineFacts; event: never };
  /** The GPUs that the driver reports; empty without driver or device, `problem` then says why. */
  gpus: { params: Record<string, never>; result: { gpus: GpuFacts[]; problem: string | null }; event: never };
  /** Whether jobs can use the GPUs: the driver answers, and a kernel ran on each. Takes seconds; never longer than two minutes. */
  preflight: { params: Record<string, never>; result: PreflightReport; event: never };
  /** Puts a job into the queue. The same id again: answers as the first time, starts nothing. */
  submit: {
    params: { spec: JobSpec };
    /** `ahead`: jobs that wait or run before it. */
    result: JobSummary & { readonly ahead: number };
    event: never;
  };
  jobs: { params: Record<string, never>; result: { jobs: JobSummary[] }; event: never };
  /**
   * Replays and follows. Blocks carry log bytes by offset from `logOffset` on; events carry records with n > `record`,
   * a heartbeat at least every 5 s. Ends after the `ended` record and the last byte were sent, or at once when `follow` is false
   * and everything there is was sent.
   * `errOffset`: where to begin in stderr, of a job that keeps it apart; absent: it is not wanted. `times`: marks behind these
   * offsets are wanted, all of them in order; absent: none. `only`: of this stream alone; absent: of both.
   */
  follow: {
    params: {
      id: string;
      logOffset: number;
      record: number;
      follow: boolean;
      errOffset?: number;
      only?: LogStream;
      times?: Readonly<Record<LogStream, number>>;
      /** What a follower who comes back has of the end of each stream, to be compared; absent: nothing. */
      proofs?: Readonly<Record<LogStream, readonly LogProof[]>>;
      /** How blocks of what was there already may be packed, the best first; absent: not at all. */
      packed?: readonly Codec[];
    };
    result: { logBytes: number; records: number };
    event:
      | { type: 'records'; records: readonly JobRecord[] }
      | { type: 'heartbeat'; now: number }
      /** The blocks that come now belong to this stream; those at the beginning to `out`. */
      | { type: 'stream'; stream: LogStream }
      /** When what was written: also of bytes that come later. */
      | { type: 'times'; stream: LogStream; marks: readonly TimeMark[] }
      /** The next bytes of this stream are gone for good: it goes on at `to`. */
      | { type: 'gap'; stream: LogStream; from: number; to: number }
      /** From here on the log is not what the follower has of it: it comes again. */
      | { type: 'differs'; stream: LogStream; from: number };
  };
  /** Looks at the machine again and again, every `everyMs` milliseconds (500 to 3,600,000), until it is cancelled. */
  telemetry: { params: { everyMs: number }; result: Record<string, never>; event: TelemetrySample };
  /**
   * Where in a log to begin, at the start of a line: with lines that began at `sinceMs` (machine's clock) or later, and with the last
   * `lines` of them at most. null: whenever, all. `bytes`: the log's present length; `gap`: what of it is gone there, and was not looked at.
   */
  seek: {
    params: { id: string; stream: LogStream; sinceMs: number | null; lines: number | null };
    result: { offset: number; bytes: number; gap: LogGap | null };
    event: never;
  };
  /** Signal, grace, SIGKILL of the whole process tree. Ends when no process of the job is left. */
  cancel: { params: { id: string; graceMs: number | null }; result: JobSummary; event: never };
  /** Sets the watchdog, in place of what was ordered before. Returns when the order is on the disk and the watchdog lives; it then needs nobody. */
  arm: { params: WatchdogOrder; result: WatchdogState; event: never };
  /** Ends the runner's serving process and all jobs: the machine is going away. Ends when they are gone. */
  shutdown: { params: { graceMs: number }; result: Record<string, never>; event: never };
}

export type CallName = keyof Calls;
