/** What a follower of a job sees, in order. The same events in the SDK, in `--json` and behind what the terminal shows. */
import type { Checkpoint, JobEnd, JobRecord, JobState, MetricSource, TelemetrySpan } from '../core/job.ts';
import type { LogGap, LogStream } from '../protocol/log.ts';

/** Raw bytes of the job's log. Offsets are contiguous over reconnects, in each stream. */
export interface LogEvent {
  readonly type: 'log';
  /** Absent: `out`, which holds stderr too unless the job keeps it apart. */
  readonly stream?: LogStream;
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** When the first of the bytes came, milliseconds since the epoch on the machine; absent or null: that is not known, or not yet. */
  readonly at?: number | null;
}

export type JobEvent =
  | LogEvent
  /** The machine had to give these bytes of the log up before they were fetched: its disk is too small. The next ones are at `to`. */
  | ({ readonly type: 'gap'; readonly stream?: LogStream } & LogGap)
  | {
      readonly type: 'metric';
      readonly at: number;
      readonly values: Readonly<Record<string, number>>;
      readonly step: number | null;
      readonly epoch: number | null;
      /** Which reader found it. */
      readonly source: MetricSource;
    }
  | { readonly type: 'state'; readonly at: number; readonly state: JobState; readonly end: JobEnd | null }
  | { readonly type: 'note'; readonly at: number; readonly level: 'info' | 'warn'; readonly text: string }
  | { readonly type: 'gpu'; readonly at: number; readonly span: TelemetrySpan }
  | ({ readonly type: 'checkpoint'; readonly at: number } & Checkpoint);

/** Awaited for each event: a slow reader slows the stream down, nothing is buffered without bound. */
export type OnJobEvent = (event: JobEvent) => void | Promise<void>;

export function toEvent(record: JobRecord): JobEvent {
  const at = record.t;
  switch (record.type) {
    case 'metric':
      return { type: 'metric', at, values: record.values, step: record.step, epoch: record.epoch, source: record.source };
    case 'note':
      return { type: 'note', at, level: record.level, text: record.text };
    case 'telemetry':
      return { type: 'gpu', at, span: record.span };
    case 'checkpoint':
      return { type: 'checkpoint', at, path: record.path, bytes: record.bytes, beganAt: record.beganAt, endedAt: record.endedAt };
    case 'state':
      return { type: 'state', at, state: record.state, end: record.state === 'ended' ? record.end : null };
  }
}
