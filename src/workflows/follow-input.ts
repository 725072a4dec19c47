/** What `logs` is asked for. */
import { GpuRunError } from '../core/errors.ts';
import type { LogStream } from '../protocol/log.ts';

export interface FollowInput {
  readonly jobId: string;
  /** Byte offset to start from, in stdout's log unless `streams` is `err`; negative: so many bytes before the present end. */
  readonly after: number;
  /** Only the last N lines of what is there; null: all. Not together with `after`. */
  readonly tailLines: number | null;
  /** Only lines that began at this time or later, milliseconds since the epoch; absent or null: all. Not together with `after`. */
  readonly sinceMs?: number | null;
  /** Of a job that keeps stdout and stderr apart; absent: both. */
  readonly streams?: 'both' | LogStream;
  /** Every event of the log has the time of all its bytes, and waits for it; absent: false. */
  readonly stamped?: boolean;
  /** Wait for more until the job has ended. */
  readonly follow: boolean;
}

/** Whether the caller wants to see this stream. */
export function shows({ streams = 'both' }: Pick<FollowInput, 'streams'>, stream: LogStream): boolean {
  return streams === 'both' || streams === stream;
}

/** @throws GpuRunError `bad-input` when stderr alone is wanted of a job that has it in one log with stdout */
export function refuseJoined(jobId: string, { streams }: Pick<FollowInput, 'streams'>): void {
  if (streams !== 'err') return;
  throw new GpuRunError('bad-input', `${jobId} has written stderr and stdout into one log: they can't be told apart any more.`, {
    hints: [`gpu-run logs ${jobId}   shows both`, 'gpu-run train --split   keeps them apart'],
  });
}
