/** What a metric is in the files for the user: a line of `metrics.jsonl`, and an event for TensorBoard. Imports its own folder only. */
import { scalarEvent } from './event-file.ts';
import type { JobRecord } from './job.ts';

export type MetricRecord = Extract<JobRecord, { type: 'metric' }>;
export type EncodeMetric = (record: MetricRecord) => Buffer;

/** `{"step":12,"epoch":1,"time":1763700000.5,"loss":0.31}`; time in seconds since the epoch. */
export function lineOf({ values, step, epoch, t }: MetricRecord): Buffer {
  const place = { ...(step === null ? {} : { step }), ...(epoch === null ? {} : { epoch }), time: t / 1000 };
  return Buffer.from(`${JSON.stringify({ ...place, ...values, ...place })}\n`);
}

/** Where a record says no step: the last one, else its epoch, else a number of its own. */
export function eventEncoder(): EncodeMetric {
  let last: number | null = null;
  let count = 0;
  return ({ values, step, epoch, t }) => {
    count += 1;
    if (step !== null) last = Math.trunc(step);
    return scalarEvent(t / 1000, last ?? (Number.isInteger(epoch) ? (epoch ?? count) : count), values);
  };
}
