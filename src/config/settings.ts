/** What the user wants, after flags, environment, `gpu-run.yaml`, template and defaults have been merged in this order. */
import type { ResourceNeed } from '../core/offer.ts';
import type { FetchSource } from '../protocol/fetch.ts';
import type { JobCommand, PreemptSignal } from '../protocol/job.ts';
import type { MlflowSettings } from './mlflow.ts';

export interface Settings {
  /** The machine's name: flag or argument, else the config's `name`, else the folder's name. */
  readonly name: string;
  /** The project's folder, absolute: where `gpu-run.yaml` lies, else the current folder. */
  readonly folder: string;
  /** Absolute path of the config that was read; null: there is none. */
  readonly configFile: string | null;
  /** Tried in order. Where nothing is said: `['local']`, and with a GPU or `spot` asked for, `['local', 'gcp']`. */
  readonly providers: readonly string[];
  /** Somebody has named the providers, or a provider's block; otherwise a machine that is up will do, wherever it is. */
  readonly providersSaid: boolean;
  readonly template: string | null;
  readonly need: ResourceNeed;
  readonly sync: SyncSettings;
  readonly setup: string | null;
  readonly train: JobCommand | null;
  readonly env: Readonly<Record<string, string>>;
  /** Names only; values are taken from the caller's environment when a job starts. */
  readonly secrets: readonly string[];
  /** Relative to the workdir. */
  readonly outputs: readonly string[];
  readonly metrics: Readonly<Record<string, string>>;
  /** null: metrics are not sent to MLflow. */
  readonly mlflow: MlflowSettings | null;
  readonly limits: {
    readonly maxTimeSeconds: number;
    readonly budgetUsd: number | null;
    readonly idleSeconds: number | null;
    readonly stallSeconds: number | null;
  };
  /** `limitBytes`: what it may take on the machine's disk; null: what the runner finds right. */
  readonly log: { readonly split: boolean; readonly limitBytes: number | null };
  /** What a job is told first when its machine is taken back; null: SIGTERM. */
  readonly preemptSignal: PreemptSignal | null;
  readonly retry: { readonly on: readonly ('preempted' | 'lost')[]; readonly attempts: number; readonly resumeFrom: string | null };
}

export interface SyncSettings {
  /** Absolute. */
  readonly code: string;
  /** gitignore patterns that are applied on top of `.gitignore` and `.gpurunignore`. */
  readonly exclude: readonly string[];
  /** `from` absolute (a folder or a file), `to` relative to the workdir. No ignore rules apply. */
  readonly data: readonly { readonly from: string; readonly to: string }[];
  /** What the machine fetches by itself; absent: nothing. */
  readonly fetched?: readonly FetchSource[];
}
