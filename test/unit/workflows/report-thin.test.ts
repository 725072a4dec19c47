/** Reports on jobs that wrote very much: in bounded memory, and what counts is not lost. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { jobSummary } from '../../../src/cli/job-summary.ts';
import { reportFromCopy } from '../../../src/workflows/report.ts';
import { createThinner, thinTimes } from '../../../src/workflows/report-thin.ts';
import { rateOf } from '../../../src/workflows/report-training.ts';
import { jobEntry, machineEntry } from '../cli/entries.ts';
import { createFakeContext } from './fake-context.ts';
import { checkpointRecord, type Entry, endRecord, metricRecord, recordsAt, stateRecord } from './report-records.ts';

test('metrics are thinned by kind: the first, the last, and all that is rare are kept', () => {
  const thinner = createThinner();
  const steps = Array.from({ length: 50_000 }, (_, at): Entry => [at, metricRecord({ loss: at }, at)]);
  const rare: Entry[] = [
    [0, stateRecord('running')],
    [20_001, metricRecord({ val_loss: 1 }, 20_001)],
    [30_001, checkpointRecord(30_001, 5)],
    [50_001, endRecord()],
  ];
  const records = recordsAt(...steps, ...rare);
  for (const record of records) thinner.add(record);
  const kept = thinner.records();
  expect(kept.length).toBeGreaterThan(5_000);
  expect(kept.length).toBeLessThan(10_010);
  expect(kept.map(({ n }) => n)).toEqual(kept.map(({ n }) => n).toSorted((a, b) => a - b));
  const values = kept.flatMap((record) => (record.type === 'metric' ? [record.values] : []));
  expect(values).toEqual(expect.arrayContaining([{ loss: 0 }, { loss: 49_999 }, { val_loss: 1 }]));
  expect(kept.filter(({ type }) => type !== 'metric')).toHaveLength(3);
});

test('names without number take no more memory either', () => {
  const thinner = createThinner();
  for (const record of recordsAt(...Array.from({ length: 50_000 }, (_, at): Entry => [at, metricRecord({ [`loss_${at}`]: at }, at)]))) thinner.add(record);
  expect(thinner.records().length).toBeLessThan(10_100);
});

test('times of writing: no silence of a second or more is lost', () => {
  expect(thinTimes([0, 100, 200, 900, 5_000, 5_010, 9_000])).toEqual([0, 900, 5_000, 5_010, 9_000]);
  expect(thinTimes([5, 6])).toEqual([5, 6]);
  expect(thinTimes([])).toEqual([]);
});

test('what training comes to is counted over all records, also where epochs have few steps', () => {
  using fake = createFakeContext(() => ({}));
  const job = jobEntry({});
  const steps = Array.from({ length: 30_000 }, (_, at): Entry => [at, metricRecord({ loss: at }, at % 3, Math.floor(at / 3))]);
  mkdirSync(join(fake.context.home.jobs, job.id), { recursive: true });
  const text = recordsAt([0, stateRecord('running')], ...steps, [30_000, endRecord()]).map((record) => `${JSON.stringify(record)}\n`);
  writeFileSync(join(fake.context.home.jobs, job.id, 'journal.jsonl'), text.join(''));
  const { training, records, times } = reportFromCopy(job, machineEntry(), fake.context);
  expect(training).toMatchObject({ records: 30_000, secondsPerEpoch: expect.closeTo(3), stepsPerSecond: expect.closeTo(1), last: { loss: 29_999 } });
  expect(records.length).toBeLessThan(10_100);
  expect(times.run).toBe(30_000);
});

test('a clock that is set back changes no speed', () => {
  const records = recordsAt(...Array.from({ length: 720 }, (_, at): Entry => [at, metricRecord({ loss: 1 }, at)]));
  const jumped = records.flatMap((record) => (record.type === 'metric' ? [{ ...record, t: record.n > 400 ? record.t - 3_600_000 : record.t }] : []));
  expect(rateOf([jumped], ({ step }) => step)).toBeCloseTo(1, 5);
});

test('after a job with very many records the summary is one line', async () => {
  using fake = createFakeContext(() => ({}));
  const job = jobEntry({});
  mkdirSync(join(fake.context.home.jobs, job.id), { recursive: true });
  writeFileSync(join(fake.context.home.jobs, job.id, 'journal.jsonl'), 'x'.repeat(1_001));
  const done = { job, machine: machineEntry() } as unknown as Parameters<typeof jobSummary>[0];
  expect(await jobSummary(done, fake.context, 1_000)).toEqual([`gpu-run report ${job.id}   shows how it used its machine`]);
});
