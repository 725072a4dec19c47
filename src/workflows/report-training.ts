/** How fast a job learns: steps a second and seconds an epoch, from the metrics that it has written. */
import type { JobRecord } from '../core/job.ts';
import type { TrainingFigures } from './report-figures.ts';

type MetricRecord = Extract<JobRecord, { readonly type: 'metric' }>;

/** Below this, what is measured is how the lines came, and not how fast the job is. */
const leastSeconds = 2;

/** Names under which jobs tell how much there is to do: no measures. */
export const stepTotals: readonly string[] = ['total_steps', 'max_steps', 'num_steps', 'steps_total', 'total'];
export const epochTotals: readonly string[] = ['total_epochs', 'max_epochs', 'num_epochs', 'num_train_epochs', 'epochs'];

/** It says how well the job learns, or how: worth a curve. */
export function isMeasure(name: string): boolean {
  return !stepTotals.includes(name) && !epochTotals.includes(name) && name !== 'step' && name !== 'epoch';
}

export function trainingFigures(records: readonly JobRecord[]): TrainingFigures {
  const metrics = records.filter((record) => record.type === 'metric');
  const last: Record<string, number> = {};
  for (const { values } of metrics) Object.assign(last, values);
  const attempts = byAttempt(records);
  const stepsPerSecond = rateOf(attempts, ({ step }) => step);
  const epochsPerSecond = rateOf(attempts, ({ epoch }) => epoch);
  return {
    records: metrics.length,
    stepsPerSecond,
    lastStep: metrics.findLast(({ step }) => step !== null)?.step ?? null,
    secondsPerEpoch: epochsPerSecond === null ? null : 1 / epochsPerSecond,
    lastEpoch: metrics.findLast(({ epoch }) => epoch !== null)?.epoch ?? null,
    last,
  };
}

/** What was written before an attempt began says nothing about its speed. */
function byAttempt(records: readonly JobRecord[]): MetricRecord[][] {
  const attempts: MetricRecord[][] = [[]];
  for (const record of records) {
    if (record.type === 'state' && record.state === 'running') attempts.push([]);
    if (record.type === 'metric') attempts.at(-1)?.push(record);
  }
  return attempts;
}

/**
 * How fast a count grows, a second: between the moments at which each of its values came up first, and only where it grows (one that begins
 * anew with each epoch goes on from there). Where several readers tell of it, the one that does so most often.
 */
export function rateOf(attempts: readonly (readonly MetricRecord[])[], pick: (record: MetricRecord) => number | null): number | null {
  const told = attempts.flat().filter((record) => pick(record) !== null);
  const source = mostFrequent(told.map((record) => record.source));
  let grown = 0;
  let ms = 0;
  for (const attempt of attempts) {
    let before = null as { readonly value: number; readonly t: number } | null;
    for (const record of attempt) {
      const value = pick(record);
      if (value === null || record.source !== source || value === before?.value) continue;
      if (before !== null && value > before.value) {
        grown += value - before.value;
        ms += record.t - before.t;
      }
      before = { value, t: record.t };
    }
  }
  return grown > 0 && ms >= leastSeconds * 1000 ? grown / (ms / 1000) : null;
}

function mostFrequent<T>(values: readonly T[]): T | null {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].reduce<readonly [T | null, number]>((best, each) => (each[1] > best[1] ? each : best), [null, 0])[0];
}
