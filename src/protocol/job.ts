/** A job as the laptop orders it and as the runner reports on it. Imports its own folder only. */
import type { TelemetrySpan } from './telemetry.ts';

export type JobCommand =
  | { readonly kind: 'argv'; readonly argv: readonly string[] }
  /** A line of the user's config, run by the machine's own shell. */
  | { readonly kind: 'shell'; readonly text: string };

/** What the runner needs to run a job. Secrets travel here and nowhere else. */
export interface JobSpec {
  /** Unique on the machine. */
  readonly id: string;
  /** What the job is called to its programs; absent: `id`. A later attempt has an id of its own, and the name of the first. */
  readonly name?: string;
  readonly attempt: number;
  readonly command: JobCommand;
  /** Run before the command in the same folder; runs again only when it, or a file that it names, has changed. */
  readonly setup: string | null;
  readonly env: Readonly<Record<string, string>>;
  /** Like `env`, but never written to a log, journal or argv. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Folders and files below the workdir that are pulled back, relative. The first is the default checkpoint folder's parent. */
  readonly outputs: readonly string[];
  /** Metric name -> regular expression whose first group is the value. */
  readonly metrics: Readonly<Record<string, string>>;
  /** Between the first signal and SIGKILL on cancel, milliseconds. */
  readonly graceMs: number;
  /** Where to resume from, relative to the workdir; null on a first attempt, and where there is nothing. */
  readonly resumeFrom: string | null;
  /** stderr goes to a log of its own; absent: into the same as stdout. */
  readonly splitLog?: boolean;
  /** Bytes that the log may take on the machine's disk; absent: as many as the runner finds right. */
  readonly logLimit?: number;
  /** How many of the machine's GPUs it takes; jobs run side by side as long as there are enough. null: the machine to itself. */
  readonly gpus: number | null;
  /** Where checkpoints are made, relative to the workdir; absent: as `checkpointFolder` has it. */
  readonly checkpoints?: string;
  /** Sent first when the provider takes the machine back, instead of SIGTERM: to those processes that listen to it. Absent: SIGTERM. */
  readonly preemptSignal?: PreemptSignal;
}

/** What the small shell between the runner and a command lets through and outlives. */
export const preemptSignals = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const;
export type PreemptSignal = (typeof preemptSignals)[number];

export type JobState = 'queued' | 'setup' | 'running' | 'cancelling' | 'ended';

export type EndReason =
  | 'exit' // the command ended by itself
  | 'signal' // the command was killed by a signal that did not come from us
  | 'cancelled'
  | 'setup' // the setup command failed; the code is its code
  | 'not-started' // the command could not be started at all
  | 'lost' // its supervising process vanished without an exit status (reboot, power cut, kill -9 of everything)
  | 'deadline' // the watchdog ended it: the machine's time is over
  | 'budget' // the same, and its budget had set that time
  | 'stalled' // the watchdog ended it: it wrote nothing, and no GPU worked
  | 'preempted'; // the provider took the machine back, and the job ended on that

export interface JobEnd {
  /** The command's exit code, 128+N after signal N; null only when it was lost or never started. */
  readonly code: number | null;
  /** `SIGKILL`, ...; null when it exited by itself. */
  readonly signal: string | null;
  readonly reason: EndReason;
  /** One sentence for people, where the reason alone does not say it. */
  readonly detail: string | null;
}

/** One numbered line of a job's journal. `n` counts from 1 without gaps; `t` is milliseconds since the epoch on the machine. */
export type JobRecord = { readonly n: number; readonly t: number } & (
  | { readonly type: 'state'; readonly state: Exclude<JobState, 'ended'>; readonly logOffset: number; readonly errOffset?: number }
  | { readonly type: 'state'; readonly state: 'ended'; readonly logOffset: number; readonly errOffset?: number; readonly end: JobEnd }
  | {
      readonly type: 'metric';
      readonly values: Readonly<Record<string, number>>;
      readonly step: number | null;
      readonly epoch: number | null;
      readonly source: MetricSource;
      /** Offset behind the line in its source, where reading goes on after a restart. */
      readonly at: number;
    }
  | { readonly type: 'note'; readonly level: 'info' | 'warn'; readonly text: string }
  /** What the machine's GPUs and CPUs did while the job ran, span after span. */
  | { readonly type: 'telemetry'; readonly span: TelemetrySpan }
  /** A checkpoint that was written to its end. */
  | ({ readonly type: 'checkpoint' } & Checkpoint)
);

/** Which reader found it: the metrics file; in the log a JSON line, a regular expression of the user's, or a framework's own words. */
export type MetricSource = 'file' | 'json' | 'regex' | 'hugging-face' | 'keras' | 'lightning' | 'tqdm' | 'pairs';

/** Files that were written together and have not changed since. */
export interface Checkpoint {
  /** The file or folder, relative to the workdir. */
  readonly path: string;
  readonly bytes: number;
  /** Milliseconds since the epoch on the machine: when the first of its bytes came, and the last. */
  readonly beganAt: number;
  readonly endedAt: number;
}

export interface JobSummary {
  readonly id: string;
  readonly attempt: number;
  readonly state: JobState;
  readonly end: JobEnd | null;
  /** Command as shown to people. */
  readonly command: string;
  /** Milliseconds since the epoch on the machine; null before. */
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  /** As in its order. */
  readonly gpus: number | null;
  /** Indexes of the GPUs that it was given, as the driver counts them; null: none yet, or all. */
  readonly givenGpus: readonly number[] | null;
  /** What it waits for, in words without a full stop; null: it does not wait. */
  readonly waitsFor: string | null;
  /** Bytes in the log now, and the number of the newest record. */
  readonly logBytes: number;
  /** Bytes in the log of stderr, of a job that keeps it apart. */
  readonly errBytes?: number;
  readonly records: number;
}
