/** `train`: a machine (rented if needed), sync, run, follow, outputs, cost, teardown. */
import type { SyncSettings } from '../config/settings.ts';
import type { JobCommand, JobEntry } from '../core/job.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { RunContext } from './context.ts';
import type { OnJobEvent } from './job-event.ts';
import type { UpInput } from './up.ts';

export interface TrainInput {
  readonly up: UpInput;
  readonly command: JobCommand;
  readonly setup: string | null;
  readonly env: Readonly<Record<string, string>>;
  /** Values included; they go over the channel and nowhere else. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly sync: SyncSettings;
  readonly outputs: readonly string[];
  /** The project's folder: outputs are pulled into it. */
  readonly folder: string;
  readonly metrics: Readonly<Record<string, string>>;
  readonly graceMs: number;
  readonly resumeFrom: string | null;
  /** Return as soon as the job has been accepted. */
  readonly detach: boolean;
  /** auto: a machine that this train rented goes down, another stays. */
  readonly teardown: 'auto' | 'down' | 'keep';
  /** With teardown: a failed job's machine stays. */
  readonly keepOnFailure: boolean;
}

export interface SyncTotals {
  readonly files: number;
  readonly bytes: number;
  /** File content that travelled. */
  readonly sentBytes: number;
  readonly ms: number;
}

export interface PulledFile {
  /** Relative to the folder they were pulled into. */
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface CostItem {
  readonly text: string;
  readonly usd: number;
}

export interface TrainResult {
  readonly job: JobEntry;
  readonly machine: MachineEntry;
  readonly machineDown: boolean;
  readonly sync: SyncTotals;
  readonly outputs: readonly PulledFile[];
  readonly lastMetrics: Readonly<Record<string, number>>;
  readonly cost: { readonly usd: number; readonly gpuSeconds: number; readonly items: readonly CostItem[] };
}

export async function train(_input: TrainInput, _context: RunContext, _onEvent: OnJobEvent): Promise<TrainResult> {
  throw new Error('to be written');
}
