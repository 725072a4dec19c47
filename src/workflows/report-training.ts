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

/** For sorting, what people look at first: the loss of the training, those of a validation, anything else. */
export function lossFirst(a: string, b: string): number {
  const rank = (name: string) => (!/loss/i.test(name) ? 2 : /^(val|valid|validation|eval|test|dev)[_/. ]/i.test(name) ? 1 : 0);
  return rank(a) - rank(b);
}

/** Built up record by record: a job may have written millions. */
export interface Training {
  add(record: JobRecord): void;
  figures(): TrainingFigures;
}

export function createTraining(): Training {
  const last: Record<string, number> = {};
  const steps = createRate(({ step }) => step);
  const epochs = createRate(({ epoch }) => epoch);
  let records = 0;
  let lastStep: number | null = null;
  let lastEpoch: number | null = null;
  return {
    add(record) {
      if (record.type === 'state' && record.state === 'running') {
        steps.nextAttempt();
        epochs.nextAttempt();
      }
      if (record.type !== 'metric') return;
      records += 1;
      Object.assign(last, record.values);
      steps.add(record);
      epochs.add(record);
      lastStep = record.step ?? lastStep;
      lastEpoch = record.epoch ?? lastEpoch;
    },
    figures() {
      const epochsPerSecond = epochs.perSecond();
      const secondsPerEpoch = epochsPerSecond === null ? null : 1 / epochsPerSecond;
      return { records, stepsPerSecond: steps.perSecond(), lastStep, secondsPerEpoch, lastEpoch, last };
    },
  };
}

export function trainingFigures(records: Iterable<JobRecord>): TrainingFigures {
  const training = createTraining();
  for (const record of records) training.add(record);
  return training.figures();
}

/** How fast a count grows in `attempts`, see `createRate`. */
export function rateOf(attempts: readonly (readonly MetricRecord[])[], pick: (record: MetricRecord) => number | null): number | null {
  const rate = createRate(pick);
  for (const attempt of attempts) {
    rate.nextAttempt();
    for (const record of attempt) rate.add(record);
  }
  return rate.perSecond();
}

interface Growth {
  told: number;
  grown: number;
  ms: number;
  before: { readonly value: number; readonly t: number } | null;
}

/**
 * How fast a count grows, a second: between the moments at which each of its values came up first, and only where it grows (one that begins
 * anew with each epoch goes on from there) and the machine's clock was not set back. Where several readers tell of it, the one that does so
 * most often. What was written before an attempt began says nothing about its speed.
 */
function createRate(pick: (record: MetricRecord) => number | null) {
  const bySource = new Map<MetricRecord['source'], Growth>();
  return {
    nextAttempt: () => {
      for (const growth of bySource.values()) growth.before = null;
    },
    add: (record: MetricRecord) => {
      const value = pick(record);
      if (value === null) return;
      const growth = bySource.get(record.source) ?? { told: 0, grown: 0, ms: 0, before: null };
      bySource.set(record.source, growth);
      growth.told += 1;
      const { before } = growth;
      if (value === before?.value) return;
      if (before !== null && value > before.value && record.t >= before.t) {
        growth.grown += value - before.value;
        growth.ms += record.t - before.t;
      }
      growth.before = { value, t: record.t };
    },
    perSecond: (): number | null => {
      const [most] = [...bySource.values()].sort((a, b) => b.told - a.told);
      return most !== undefined && most.grown > 0 && most.ms >= leastSeconds * 1000 ? most.grown / (most.ms / 1000) : null;
    },
  };
}
