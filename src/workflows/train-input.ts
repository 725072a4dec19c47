/** What `train` is asked for, and what it gives back. */
import type { Settings, SyncSettings } from '../config/settings.ts';
import type { JobCommand, JobEntry } from '../core/job.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { PulledFile } from '../sync/pull.ts';
import type { SyncTotals } from './push-once.ts';
import type { UpInput } from './up-input.ts';

export interface TrainInput {
  readonly up: UpInput;
  readonly command: JobCommand;
  readonly setup: string | null;
  readonly env: Readonly<Record<string, string>>;
  /** Values included; they go over the channel and nowhere else. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly sync: SyncSettings;
  readonly outputs: readonly string[];
  /** As `PushInput` has it. */
  readonly sizeMeant?: boolean;
  /** The project's folder: outputs are pulled into it. */
  readonly folder: string;
  readonly metrics: Readonly<Record<string, string>>;
  readonly graceMs: number;
  /** stdout and stderr into logs of their own; absent: false. */
  readonly splitLog?: boolean;
  /** Bytes that the log may take on the machine; absent or null: as many as the runner finds right. */
  readonly logLimitBytes?: number | null;
  /** Events of the log carry the times of all their bytes, and wait for them; absent: false. */
  readonly stamped?: boolean;
  readonly retry: Settings['retry'];
  /** Absolute, a folder on this computer: its checkpoints are sent to where the job looks for its own, and it resumes from them. Absent: from the start. */
  readonly startFrom?: string;
  /** What the job is told first when its machine is taken back; null: SIGTERM. */
  readonly preemptSignal: Settings['preemptSignal'];
  /** Return as soon as the job has been accepted. */
  readonly detach: boolean;
  /** auto: a machine that this train rented goes down, another stays. */
  readonly teardown: 'auto' | 'down' | 'keep';
  /** With teardown: a failed job's machine stays. */
  readonly keepOnFailure: boolean;
}

export interface CostItem {
  readonly text: string;
  readonly usd: number;
}

export interface JobCost {
  /** What the machine cost while the job ran; when it was rented for this job and is gone, its whole bill but for what its other jobs cost. */
  readonly usd: number;
  readonly gpuSeconds: number;
  readonly items: readonly CostItem[];
}

export interface TrainResult {
  readonly job: JobEntry;
  readonly machine: MachineEntry;
  readonly machineDown: boolean;
  readonly sync: SyncTotals;
  readonly outputs: readonly PulledFile[];
  readonly lastMetrics: Readonly<Record<string, number>>;
  readonly cost: JobCost;
  /** What may still bill after the teardown. */
  readonly leftovers: readonly string[];
}

export function stamps({ stamped }: Pick<TrainInput, 'stamped'>): Pick<TrainInput, 'stamped'> {
  return stamped === undefined ? {} : { stamped };
}
