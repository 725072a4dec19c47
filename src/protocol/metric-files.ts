/** Where the runner writes a job's metrics for the user: below an output, so that they are pulled. Imports its own folder only. */
import { looksLikeFolder } from './checkpoint-folder.ts';

/** Relative to the workdir; null: no output is a folder, and nothing is written. */
export interface MetricsPlace {
  /** The output that it lies in. */
  readonly output: string;
  readonly folder: string;
  /** One JSON object a record. */
  readonly lines: string;
  /** TensorBoard's event file. */
  readonly events: string;
}

/**
 * `gpu-run/<job>/` in the first output that looks like a folder, and not like one of checkpoints if there is another. Each attempt
 * has files of its own. `createdAt`: milliseconds since the epoch.
 */
export function metricsPlace(job: {
  readonly id: string;
  readonly attempt: number;
  readonly createdAt: number;
  readonly outputs: readonly string[];
}): MetricsPlace | null {
  const folders = job.outputs.filter(looksLikeFolder);
  const output = (folders.find((path) => !/(checkpoint|ckpt)s?[^/]*\/?$/i.test(path)) ?? folders[0])?.replace(/\/+$/, '');
  if (output === undefined) return null;
  const folder = `${output}/gpu-run/${job.id}`;
  // TensorBoard takes the files of a folder in the order of the seconds in their names.
  const seconds = String(Math.floor(job.createdAt / 1000)).padStart(10, '0');
  const lines = `${folder}/metrics${job.attempt > 1 ? `.${job.attempt}` : ''}.jsonl`;
  return { output, folder, lines, events: `${folder}/events.out.tfevents.${seconds}.gpu-run.${job.attempt}` };
}

/** Written by the runner, and so neither something that the job made nor a checkpoint. */
export function isMetricsFile(path: string): boolean {
  return /(?:^|\/)gpu-run\/[\w-]+\/(?:metrics(?:\.\d+)?\.jsonl|events\.out\.tfevents\.\d+\.gpu-run\.\d+)$/.test(path);
}
