/** How many records a job can make that reports a lot itself. */
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { JournalFacts, NewRecord } from '../../../remote-runner/journal.ts';
import type { JobFolder } from '../../../remote-runner/machine-folder.ts';
import { createMetricLanes } from '../../../remote-runner/metric-lanes.ts';
import { metricPlace, noteMetricPlace } from '../../../remote-runner/metric-place.ts';
import { openMetrics } from '../../../remote-runner/metrics.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-lanes-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const start = { logMetricsAt: 0, fileMetricsAt: 0, logPlace: { step: null, epoch: null } };
const metric = (step: number, values: Readonly<Record<string, number>> = { loss: 0.5 }, source: 'json' | 'file' | 'tqdm' = 'json') =>
  ({ type: 'metric', values, step, epoch: null, source, at: step + 1 }) as const;
const many = (from: number, count: number) => Array.from({ length: count }, (_, index) => metric(from + index));
const steps = (records: readonly NewRecord[]) => records.flatMap((record) => (record.type === 'metric' ? [record.step] : []));
const notes = (records: readonly NewRecord[]) => records.flatMap((record) => (record.type === 'note' ? [record.text] : []));

test('ten thousand at once, then twenty a second and the newest; a rare record among them is none too many', () => {
  const lanes = createMetricLanes(start);
  const first = lanes.add([...many(0, 12_000), metric(12_000, { val_loss: 1 })], 0);
  expect(steps(first)).toEqual([...many(0, 10_000).map(({ step }) => step), 12_000]);
  expect(notes(first)).toEqual([expect.stringContaining('faster than 20 times a second')]);
  expect(lanes.isHolding).toBe(true);
  expect(lanes.due(10, 'due')).toEqual([]);
  const held = lanes.due(60, 'due');
  expect(held).toMatchObject([{ step: 11_999, at: 12_001 }]); // not before what was told since
  const later = lanes.add(many(20_000, 5_000), 10_060);
  expect(steps(later)).toHaveLength(200);
  expect(notes(later)).toEqual([]);
  expect(steps(lanes.due(10_060, 'all'))).toEqual([24_999]);
  expect(lanes.isHolding).toBe(false);
});

test('what a framework draws has a pace of its own', () => {
  const bars = Array.from({ length: 11_000 }, (_, step) => metric(step, { rate: 1 }, 'tqdm'));
  expect(createMetricLanes(start).add(bars, 0)).toHaveLength(11_000);
});

test('a thousand names, and no more, whoever makes them up', () => {
  const lanes = createMetricLanes(start);
  const records = Array.from({ length: 1_200 }, (_, step) => metric(step, { [`loss_${step}`]: step, ...(step === 1_199 ? { loss_3: 3 } : {}) }));
  const told = lanes.add(records, 0);
  expect(steps(told)).toEqual([...Array.from({ length: 1_000 }, (_, step) => step), 1_199]);
  expect(told.at(-1)).toMatchObject({ values: { loss_3: 3 } });
  expect(notes(told)).toEqual([expect.stringContaining('more than 1000 names')]);
});

test('a metrics file that is begun anew is read on from its new place', () => {
  const lanes = createMetricLanes({ logMetricsAt: 0, fileMetricsAt: 700 });
  const at = (records: readonly NewRecord[]) => records.map((record) => (record.type === 'metric' ? record.at : null));
  expect(at(lanes.add([metric(899, { a: 1 }, 'file'), metric(9, { a: 1 }, 'file'), metric(19, { a: 1 }, 'file')], 0))).toEqual([900, 10, 20]);
});

test('a log without metrics is not read again by the next runner, but for its end', () => {
  const job = { log: join(folder, 'log'), metrics: join(folder, 'none'), metricsAt: join(folder, 'metrics.at') } as JobFolder;
  const facts = { ...start } as JournalFacts;
  const line = `${'x'.repeat(1_023)}\n`;
  writeFileSync(job.log, line.repeat(20 * 1_024));
  const reader = openMetrics(job, {}, metricPlace(job, facts));
  for (let more = reader.read(false); more !== null; more = reader.read(false)) expect(more).toEqual([]);
  noteMetricPlace(job, reader, facts);
  reader.close();
  expect(metricPlace(job, facts).logMetricsAt).toBe(20 * 1_024 * 1_024);
  expect(metricPlace(job, { ...facts, logMetricsAt: 30 * 1_024 * 1_024 }).logMetricsAt).toBe(30 * 1_024 * 1_024);
  appendFileSync(job.log, 'step 1: loss=0.5\n');
  const next = openMetrics(job, {}, metricPlace(job, facts), () => 0);
  expect(steps(next.read(true) ?? [])).toEqual([1]);
  next.close();
});

test('what is held back is not passed over by the place', () => {
  const job = { log: join(folder, 'log'), metrics: join(folder, 'none'), metricsAt: join(folder, 'metrics.at') } as JobFolder;
  writeFileSync(job.log, ' 10%|##   | 10/100 [00:01<00:02, 30.1it/s, loss=0.1]\r 11%|##   | 11/100 [00:01<00:02, 30.1it/s, loss=0.2]\r');
  let now = 0;
  const reader = openMetrics(job, {}, start, () => now);
  expect(steps(reader.read(false) ?? [])).toEqual([10]);
  expect(reader.logAt).toBeNull();
  now = 1_000;
  expect(steps(reader.read(false) ?? [])).toEqual([11]);
  expect(reader.logAt).toBeGreaterThan(0);
  reader.close();
});
