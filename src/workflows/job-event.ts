/** What a follower of a job sees, in order. The same events in the SDK, in `--json` and behind what the terminal shows. */
import type { Checkpoint, JobEnd, JobState, TelemetrySpan } from '../core/job.ts';

export type JobEvent =
  /** Raw bytes of the job's log. Offsets are contiguous over reconnects. */
  | { readonly type: 'log'; readonly offset: number; readonly bytes: Uint8Array }
  | {
      readonly type: 'metric';
      readonly at: number;
      readonly values: Readonly<Record<string, number>>;
      readonly step: number | null;
      readonly epoch: number | null;
    }
  | { readonly type: 'state'; readonly at: number; readonly state: JobState; readonly end: JobEnd | null }
  | { readonly type: 'note'; readonly at: number; readonly level: 'info' | 'warn'; readonly text: string }
  | { readonly type: 'gpu'; readonly at: number; readonly span: TelemetrySpan }
  | ({ readonly type: 'checkpoint'; readonly at: number } & Checkpoint);

/** Awaited for each event: a slow reader slows the stream down, nothing is buffered without bound. */
export type OnJobEvent = (event: JobEvent) => void | Promise<void>;
