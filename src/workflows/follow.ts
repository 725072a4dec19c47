/** `logs`: replays and follows a job, over dropped connections. */
import type { JobEntry } from '../core/job.ts';
import type { RunContext } from './context.ts';
import type { OnJobEvent } from './job-event.ts';

export interface FollowInput {
  readonly jobId: string;
  /** Byte offset in the log to start from; negative: so many bytes before the present end. */
  readonly after: number;
  /** Only the last N lines of what is there; null: all. Not together with `after`. */
  readonly tailLines: number | null;
  /** Wait for more until the job has ended. */
  readonly follow: boolean;
}

export async function follow(_input: FollowInput, _context: RunContext, _onEvent: OnJobEvent): Promise<JobEntry> {
  throw new Error('to be written');
}
