import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { smallerCard } from '../../../src/core/gpu-memory.ts';
import type { JobRecord } from '../../../src/core/job.ts';
import { reportOn } from '../../../src/workflows/report.ts';
import { curvesOf, thin } from '../../../src/workflows/report-curves.ts';
import type { JobReport } from '../../../src/workflows/report-figures.ts';
import { jobEntry, machineEntry } from '../cli/entries.ts';
import { began, checkpointRecord, type Entry, endRecord, gpuSpan, metricRecord, recordsAt, spanRecord, stateRecord } from './report-records.ts';

const busy = gpuSpan({ 90: 100 }, { powerMeanWatts: 65 });

function reportOf(entries: readonly Entry[], changes: Partial<Parameters<typeof reportOn>[0]> = {}): JobReport {
  const job = jobEntry({});
  return reportOn({ job, machine: machineEntry(), jobs: [job], records: recordsAt(...entries), usd: 0.1, ...changes });
}

/** Setup from 0 to 60, the command from 60 to 460. */
function running(...more: readonly Entry[]): readonly Entry[] {
  return [[0, stateRecord('queued')], [0, stateRecord('setup')], [60, stateRecord('running')], ...more, [460, endRecord()]];
}

const codes = ({ advice }: JobReport) => advice.map(({ code }) => code);

describe('figures', () => {
  test('of a GPU over its spans, those of the setup left out', () => {
    const { gpus, host, times } = reportOf(
      running(
        [50, spanRecord(0, 50, [gpuSpan({ 0: 50 })])],
        [160, spanRecord(60, 160, [gpuSpan({ 0: 40, 50: 60 }, { memoryPeakBytes: 3e9, starved: 30, throttled: { 'power-cap': 10 } })])],
        [460, spanRecord(160, 460, [gpuSpan({ 50: 300 }, { memoryPeakBytes: 5e9, temperatureMaxC: 70, eccUncorrected: 2, xids: [31] })])],
      ),
    );
    expect(gpus).toHaveLength(1);
    expect(gpus[0]).toMatchObject({
      seconds: 400,
      samples: 400,
      idleShare: 0.1,
      memoryPeakBytes: 5e9,
      smallerCardGb: 8,
      starvedShare: 0.075,
      temperatureMaxC: 70,
      throttled: { 'power-cap': 0.025 },
      eccErrors: 2,
      xids: [31],
    });
    expect(gpus[0]?.utilizationMean).toBeCloseTo(0.9 * 52);
    expect(gpus[0]?.utilizationP50).toBeCloseTo(50 + (160 / 360) * 5);
    expect(host).toMatchObject({ cpus: 4, cpuMean: 20, diskReadBytes: 2e9 });
    expect(times).toMatchObject({ queue: 0, setup: 60, run: 400, watched: 400 });
  });

  test('the median lies in the bin of the middle sample, whatever the counts', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 20, maxLength: 20 }), (bins) => {
        const values = bins.flatMap((count, bin) => Array.from({ length: count }, () => bin * 5));
        const { gpus } = reportOf(running([200, spanRecord(100, 200, [gpuSpan(Object.fromEntries(bins.map((count, bin) => [bin * 5, count])))])]));
        const p50 = gpus[0]?.utilizationP50 ?? null;
        if (values.length === 0) return expect(p50).toBeNull();
        const middle = [values[Math.ceil(values.length / 2) - 1], values[Math.floor(values.length / 2)]];
        expect(middle.some((from = -10) => p50 !== null && p50 >= from && p50 <= from + 5)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  test('what idle GPUs cost: each its part of the price, while it was watched', () => {
    const two = [gpuSpan({ 0: 100 }), gpuSpan({ 90: 100 }, { index: 1 })];
    const machine = machineEntry();
    const priced = { ...machine, offer: { ...machine.offer, price: { perHour: 36, currency: 'USD' as const } } };
    expect(reportOf(running([200, spanRecord(100, 200, two)]), { machine: priced }).cost).toMatchObject({ idleUsd: 0.5, pricePerHour: 36 });
  });

  test('steps and epochs: growing counts only, also over attempts and epochs that begin anew', () => {
    const { training, cost, attempts } = reportOf([
      [0, stateRecord('running')],
      [10, metricRecord({ loss: 2 }, 100, 1)],
      [20, metricRecord({ loss: 1.5 }, 200, 1)],
      [30, metricRecord({ loss: 1.4 }, 10, 2)],
      [40, metricRecord({ loss: 1.3 }, 110, 2)],
      [50, stateRecord('running')],
      [60, metricRecord({ loss: 1.2 }, 110, 2)],
      [70, metricRecord({ loss: 1.1 }, 210, 3)],
      [80, endRecord()],
    ]);
    expect(training).toMatchObject({ records: 6, stepsPerSecond: 10, lastStep: 210, secondsPerEpoch: 15, lastEpoch: 3, last: { loss: 1.1 } });
    expect(cost.perEpochUsd).toBeCloseTo((15 / 3600) * 0.28);
    expect(attempts).toBe(2);
  });

  test('metrics that came all at once tell no speed', () => {
    const { training, unknown } = reportOf([
      [0, stateRecord('running')],
      [9, metricRecord({ loss: 2 }, 1)],
      [9.1, metricRecord({ loss: 1 }, 900)],
      [9.2, endRecord()],
    ]);
    expect(training.stepsPerSecond).toBeNull();
    expect(unknown).toContainEqual(expect.stringContaining('all at once'));
  });

  test('checkpoints that overlap count once; times before the job only of the machine that was rented for it', () => {
    const entries = running([160, checkpointRecord(160, 20)], [170, checkpointRecord(170, 20)], [360, checkpointRecord(360, 10)]);
    const { checkpoints, times } = reportOf(entries);
    expect(checkpoints).toEqual({ count: 3, bytes: 3e9, seconds: 40, shareOfRun: 0.1, interval: 100 });
    expect(times).toMatchObject({ startUp: null, sync: null });
    const job = jobEntry({}, { createdAt: began + 5000 });
    expect(reportOf(entries, { job, jobs: [job], machine: machineEntry({ forOneJob: true }) }).times).toMatchObject({ startUp: 60, sync: 5 });
  });

  test('the longest silence: while the command ran, from its beginning and to its end', () => {
    const silence = (...seconds: number[]) => reportOf(running(), { writtenAt: seconds.map((at) => began + at * 1000) }).times.longestSilence;
    expect(silence(10, 70, 100, 400)).toBe(300);
    expect(silence(200, 205)).toBe(255);
    expect(silence(455)).toBe(395);
    expect(silence(1, 900)).toBe(400);
    expect(silence()).toBeNull();
  });

  test('attempts on several machines, and a job that still runs', () => {
    const ended = (at: number): Entry => [at, endRecord(143)];
    const { times, attempts } = reportOf([
      [0, stateRecord('queued')],
      [10, stateRecord('running')],
      ended(110),
      [400, stateRecord('queued')],
      [405, stateRecord('running')],
      ended(505),
    ]);
    expect(times).toMatchObject({ run: 200, between: 290, queue: 15 });
    expect(attempts).toBe(2);
    const entries: Entry[] = [
      [0, stateRecord('setup')],
      [60, stateRecord('running')],
      [90, metricRecord({ loss: 1 }, 1)],
    ];
    expect(reportOf(entries).times).toMatchObject({ setup: 60, run: 30 });
    expect(reportOf(entries, { until: began + 100_000 }).times).toMatchObject({ setup: 60, run: 40 });
    expect(reportOf(entries.slice(0, 1), { until: began + 5_000 })).toMatchObject({
      times: { setup: 5, run: 0 },
      unknown: ['the command has not run: there is nothing to judge'],
    });
  });

  test('an attempt that was lost lasted until the last that was heard of it: what came then is no run time', () => {
    const entries: Entry[] = [
      [0, stateRecord('queued')],
      [10, stateRecord('running')],
      [24, metricRecord({ loss: 2 }, 14)],
      [100, stateRecord('queued')],
      [101, stateRecord('setup')],
      [103, stateRecord('running')],
      [118, endRecord()],
    ];
    expect(reportOf(entries).times).toMatchObject({ queue: 11, setup: 2, run: 29, between: 76 });
    const written = reportOf(entries, { writtenAt: [11, 25, 104].map((at) => began + at * 1000) });
    expect(written.times).toMatchObject({ run: 30, between: 75, longestSilence: 14 });
  });

  test('no records at all: nothing is known, and nothing is advised', () => {
    const { asOf, gpus, host, advice, unknown, training } = reportOf([]);
    expect({ asOf, gpus, host, advice }).toEqual({ asOf: null, gpus: [], host: null, advice: [] });
    expect(training.stepsPerSecond).toBeNull();
    expect(unknown).not.toEqual([]);
  });
});

describe('advice', () => {
  test('none on a run that is as it should be, and none on one that was too short to judge', () => {
    const fine: Entry = [440, spanRecord(60, 440, [busy])];
    expect(codes(reportOf(running(fine)))).toEqual([]);
    const short = reportOf(running([100, spanRecord(60, 100, [gpuSpan({ 0: 40 })])]));
    expect(codes(short)).toEqual([]);
    expect(short.unknown).toContainEqual(expect.stringContaining('too short'));
  });

  test.each<readonly [code: string, entries: readonly Entry[]]>([
    ['gpu-unused', [[440, spanRecord(60, 440, [gpuSpan({ 0: 380 }, { memoryPeakBytes: 4e8 })])]]],
    ['gpu-unused', [[440, spanRecord(60, 440, [busy, gpuSpan({ 0: 380 }, { index: 1, memoryPeakBytes: 0 })])]]],
    ['starved', [[440, spanRecord(60, 440, [gpuSpan({ 0: 180, 90: 200 }, { starved: 180 })], { busiestCpuMean: 99 })]]],
    ['idle', [[440, spanRecord(60, 440, [gpuSpan({ 0: 180, 90: 200 })])]]],
    ['low-use', [[440, spanRecord(60, 440, [gpuSpan({ 10: 380 }, { memoryPeakBytes: 2e10 })])]]],
    ['low-power', [[440, spanRecord(60, 440, [gpuSpan({ 95: 380 }, { powerMeanWatts: 30 })])]]],
    ['throttled', [[440, spanRecord(60, 440, [gpuSpan({ 95: 380 }, { throttled: { 'hw-thermal': 100 } })])]]],
    ['faulty-gpu', [[440, spanRecord(60, 440, [gpuSpan({ 95: 380 }, { xids: [79] })])]]],
    ['host-memory', [[440, spanRecord(60, 440, [busy], { memoryPeakBytes: 15.5e9 })]]],
    ['disk-space', [[440, spanRecord(60, 440, [busy], { diskFreeBytes: 1e8 })]]],
    [
      'checkpoint-time',
      [
        [440, spanRecord(60, 440, [busy])],
        [200, checkpointRecord(200, 30)],
        [300, checkpointRecord(300, 30)],
      ],
    ],
  ])('%s', (code, entries) => {
    const { advice } = reportOf(running(...entries));
    expect(advice.map((each) => each.code)).toEqual([code]);
    expect(advice[0]?.evidence).toMatch(/\d/);
    expect(advice[0]?.actions.length).toBeGreaterThan(0);
    for (const text of [advice[0]?.text, advice[0]?.evidence]) expect(text).not.toMatch(/NaN|Infinity|null|undefined/);
  });

  test('fewer checkpoints, of a job that has some', () => {
    const full: Entry = [440, spanRecord(60, 440, [busy], { diskFreeBytes: 1e8 })];
    expect(reportOf(running(full)).advice[0]?.actions).toEqual(['A larger disk']);
    expect(reportOf(running(full, [200, checkpointRecord(200, 1)])).advice[0]?.actions).toEqual(['A larger disk', 'Keep fewer checkpoints']);
  });

  test('a smaller card, with what is to be had', () => {
    const { advice } = reportOf(running([440, spanRecord(60, 440, [gpuSpan({ 30: 380 }, { memoryPeakBytes: 9e9 })])]));
    expect(advice).toMatchObject([{ code: 'smaller-card', text: 'A 16 GB card would do (T4, V100, P100)' }]);
  });

  test('an XID that a program brings about itself is no fault of the machine', () => {
    expect(codes(reportOf(running([440, spanRecord(60, 440, [gpuSpan({ 95: 380 }, { xids: [31] })])])))).toEqual([]);
  });

  test('full memory matters only to a job that failed', () => {
    const full: Entry = [440, spanRecord(60, 440, [gpuSpan({ 95: 380 }, { memoryPeakBytes: 24.1e9 })])];
    expect(codes(reportOf(running(full)))).toEqual([]);
    expect(codes(reportOf(running(full), { job: jobEntry({ code: 1 }) }))).toEqual(['memory-full']);
  });

  test('a spot machine without checkpoints, and an own one with them', () => {
    const long: readonly Entry[] = [
      [0, stateRecord('running')],
      [2000, endRecord()],
      [1990, spanRecord(0, 1990, [busy])],
    ];
    expect(codes(reportOf(long))).toEqual(['no-checkpoints']);
    const onDemand = { ...machineEntry().offer, spot: false };
    const saved: Entry = [1000, checkpointRecord(1000, 1)];
    expect(codes(reportOf([...long, saved], { machine: machineEntry({ offer: onDemand }), usd: 3 }))).toEqual(['spot']);
  });

  test('whatever the records say, no advice without numbers and no number that is none', () => {
    const number = fc.option(fc.double({ min: 0, max: 1e12, noNaN: true }), { nil: null });
    const bins = fc.dictionary(fc.constantFrom('0', '5', '50', '95'), fc.integer({ min: 0, max: 400 }));
    fc.assert(
      fc.property(bins, number, number, number, number, (counts, memoryPeakBytes, memoryTotalBytes, powerMeanWatts, cpuMean) => {
        const gpu = gpuSpan(counts, { memoryPeakBytes, memoryTotalBytes, powerMeanWatts, utilizationMean: null });
        const { advice } = reportOf(running([440, spanRecord(60, 440, [gpu], { cpuMean, busiestCpuMean: null, memoryPeakBytes: null })]), {
          job: jobEntry({ code: 1 }),
        });
        for (const { text, evidence } of advice) expect(`${text} ${evidence}`).not.toMatch(/NaN|Infinity|undefined|null/);
      }),
      { numRuns: 100 },
    );
  });
});

test('a card that holds the peak with headroom, and is clearly smaller', () => {
  expect(smallerCard(7e9, 24e9)?.gb).toBe(16);
  expect(smallerCard(14.5e9, 24e9)).toBeNull();
  expect(smallerCard(5e9, 16e9)?.gb).toBe(8);
  expect(smallerCard(30e9, 85e9)?.gb).toBe(40);
  expect(smallerCard(70e9, 85e9)).toBeNull();
});

describe('curves', () => {
  test('by GPU over time, metrics by step with those of validation in one plot, losses first', () => {
    const curves = curvesOf(
      recordsAt(
        [0, stateRecord('running')],
        [10, spanRecord(0, 10, [busy, { ...busy, index: 1 }])],
        [20, spanRecord(10, 20, [busy, { ...busy, index: 1 }])],
        [11, metricRecord({ lr: 1, loss: 2 }, 10)],
        [21, metricRecord({ lr: 0.5, loss: 1, val_loss: 3 }, 20)],
        [31, metricRecord({ loss: 0.5, val_loss: 2, once: 1 }, 30)],
        [31, checkpointRecord(31, 1)],
        [32, stateRecord('running')],
      ),
    );
    expect(curves.machine.map(({ title }) => title).slice(0, 2)).toEqual(['GPU utilisation', 'GPU memory']);
    expect(curves.machine[0]?.curves.map(({ name, points }) => [name, points.length])).toEqual([
      ['GPU 0', 2],
      ['GPU 1', 2],
    ]);
    expect(curves.metrics.map(({ title, x, curves: lines }) => [title, x, lines.map(({ name }) => name)])).toEqual([
      ['loss', 'step', ['loss', 'val_loss']],
      ['lr', 'step', ['lr']],
    ]);
    expect(curves.marks.map(({ kind, at, step }) => [kind, at, step])).toEqual([
      ['checkpoint', 31, 30],
      ['attempt', 32, 30],
    ]);
  });

  test('thinned out, their lowest and highest points stay', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { maxLength: 3000 }), (values) => {
        const points = values.map((y, x) => [x, y] as const);
        const kept = thin(points);
        expect(kept.length).toBeLessThanOrEqual(400);
        const ys = kept.map(([, y]) => y);
        if (values.length > 0) expect([Math.min(...ys), Math.max(...ys)]).toEqual([Math.min(...values), Math.max(...values)]);
        expect(kept.every(([x], at) => at === 0 || x > (kept[at - 1]?.[0] ?? -1))).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  test('each attempt has a line of its own', () => {
    const step = (at: number, of: number): Entry => [at, metricRecord({ loss: 100 - of }, of)];
    const span = (at: number): Entry => [at, spanRecord(at - 5, at, [])];
    const attempts: Entry[][] = [
      [[0, stateRecord('running')], step(5, 60), span(6), step(10, 80), span(11)],
      [[20, stateRecord('queued')], [21, stateRecord('running')], span(26), step(27, 60), step(30, 80)],
    ];
    const { metrics, machine } = curvesOf(recordsAt(...attempts.flat()));
    expect(metrics[0]?.curves).toMatchObject([{ points: [60, 80, 60, 80].map((at) => [at, 100 - at]), starts: [2] }]);
    expect(machine[0]?.curves[0]).toMatchObject({ points: { length: 3 }, starts: [2] });
    expect(curvesOf(recordsAt(...(attempts[0] ?? []))).metrics[0]?.curves[0]).not.toHaveProperty('starts');
  });

  test('Loss and val_loss are drawn together; a metric of a validation alone is called what it is', () => {
    const entries = [1, 2].flatMap((epoch): Entry[] => [
      [epoch * 10, metricRecord({ Loss: 1 }, epoch * 40)],
      [epoch * 10 + 1, metricRecord({ val_loss: 2, val_acc: 0.5, ...(epoch === 1 ? { test_f1: 1 } : {}), val_f1: 1 }, null, epoch)],
    ]);
    const { metrics } = curvesOf(recordsAt([0, stateRecord('running')], ...entries));
    expect(metrics.map(({ title, curves }) => [title, curves.map(({ name }) => name)])).toEqual([
      ['Loss', ['Loss', 'val_loss']],
      ['val_acc', ['val_acc']],
      ['val_f1', ['val_f1']],
    ]);
  });

  test.each<readonly [string, (epoch: number, step: number) => [step: number | null, epoch: number | null], string]>([
    ['steps that go on', (epoch, step) => [epoch * 10 + step, epoch], 'step'],
    ['steps that begin anew in each epoch', (epoch, step) => [step, epoch], 'time'],
    ['steps that begin anew, and no epochs', (_, step) => [step, null], 'time'],
    ['steps that go back to a checkpoint', (epoch, step) => [epoch * 10 + step - (epoch === 2 ? 5 : 0), null], 'step'],
    ['an epoch for many values', (epoch) => [null, epoch], 'time'],
    ['parts of an epoch', (epoch, step) => [null, epoch + step / 10], 'epoch'],
  ])('no curve goes to and fro: %s', (_, placeOf, axis) => {
    const entries = [1, 2, 3].flatMap((epoch) =>
      Array.from({ length: 10 }, (_unused, step): Entry => [epoch * 100 + step, metricRecord({ loss: 1 / (epoch + step) }, ...placeOf(epoch, step))]),
    );
    const { metrics } = curvesOf(recordsAt([0, stateRecord('running')], ...entries));
    expect(metrics.map(({ x, curves }) => [x, curves[0]?.points.length])).toEqual([[axis, 30]]);
  });

  test('none of a job without records', () => {
    expect(curvesOf([] as JobRecord[])).toMatchObject({ seconds: 0, machine: [], metrics: [], marks: [] });
  });

  test('each plot has the axis that its own records name; a record that names none stands at the last one named', () => {
    const entries = [1, 2, 3].flatMap((epoch): Entry[] => [
      [epoch * 10, metricRecord({ loss: 1, rate: 5 }, epoch * 40)],
      [epoch * 10 + 1, metricRecord({ val_loss: 2, acc: 0.5 }, null, epoch)],
    ]);
    const { metrics } = curvesOf(recordsAt([0, stateRecord('running')], ...entries));
    expect(metrics.map(({ title, x, curves }) => [title, x, curves.map(({ name, points }) => [name, points.map(([at]) => at)])])).toEqual([
      [
        'loss',
        'step',
        [
          ['loss', [40, 80, 120]],
          ['val_loss', [40, 80, 120]],
        ],
      ],
      ['rate', 'step', [['rate', [40, 80, 120]]]],
      ['acc', 'epoch', [['acc', [1, 2, 3]]]],
    ]);
  });
});
