/** Samples added up, and how they get into a job's journal. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { recordTelemetry } from '../../../remote-runner/job-telemetry.ts';
import { type NewRecord, openJournal } from '../../../remote-runner/journal.ts';
import type { Sampler } from '../../../remote-runner/sampler.ts';
import { beginSpan } from '../../../remote-runner/telemetry-span.ts';
import type { GpuSample, HostSample, TelemetrySample, TelemetrySpan } from '../../../src/protocol/telemetry.ts';
import { isTelemetrySample, isTelemetrySpan } from '../../../src/protocol/telemetry-parse.ts';

const gpuOf = (more: Partial<GpuSample> = {}): GpuSample => ({
  index: 0,
  uuid: 'GPU-0',
  name: 'NVIDIA L4',
  utilization: 50,
  memoryUtilization: 10,
  memoryUsedBytes: 1_000,
  memoryTotalBytes: 24_000,
  powerWatts: 60,
  powerLimitWatts: 72,
  temperatureC: 50,
  smClockMhz: 1_500,
  smClockMaxMhz: 2_040,
  throttle: [],
  eccUncorrected: 0,
  xid: null,
  ...more,
});
const hostOf = (more: Partial<HostSample> = {}): HostSample => ({
  cpus: 8,
  cpu: 10,
  busiestCpu: 20,
  memoryUsedBytes: 5_000,
  memoryTotalBytes: 32_000,
  diskReadBytesPerSecond: 100,
  diskWriteBytesPerSecond: 0,
  diskFreeBytes: 9_000,
  netReceivedBytesPerSecond: null,
  netSentBytesPerSecond: null,
  ...more,
});
const sampleOf = (gpus: readonly GpuSample[], host: HostSample = hostOf()): TelemetrySample => ({
  t: 1,
  source: 'nvml',
  problem: null,
  gpus,
  processes: [],
  host,
});

function spanOf(samples: readonly TelemetrySample[], everyMs = 1_000): TelemetrySpan {
  const span = beginSpan(0, new Map());
  for (const [index, sample] of samples.entries()) span.add(sample, (index + 1) * everyMs, sample.gpus);
  const finished = span.finish(samples.length * everyMs);
  if (finished === null) throw new Error('nothing was added');
  return finished;
}

describe('a span', () => {
  test('says what its samples come to', () => {
    const dataLoader = hostOf({ busiestCpu: 99, diskReadBytesPerSecond: 1_000 });
    const { gpus, host, samples, source } = spanOf([
      sampleOf([gpuOf({ utilization: 100, throttle: ['power-cap'], temperatureC: 71, memoryUsedBytes: 3_000 })], hostOf({ diskReadBytesPerSecond: null })),
      sampleOf([gpuOf({ utilization: 4, throttle: ['power-cap', 'sw-thermal'] })], dataLoader),
      sampleOf([gpuOf({ utilization: 0, xid: 31 })]),
      sampleOf([gpuOf({ utilization: null, memoryUsedBytes: null, memoryTotalBytes: null, powerWatts: null, temperatureC: null, xid: 31 })]),
    ]);
    expect({ samples, source }).toEqual({ samples: 4, source: 'nvml' });
    expect(gpus).toMatchObject([
      { utilizationMean: 34.7, memoryPeakBytes: 3_000, memoryMeanBytes: 1_667, memoryTotalBytes: 24_000, powerMeanWatts: 60, temperatureMaxC: 71 },
    ]);
    expect(gpus[0]?.utilization).toEqual([2, ...Array.from({ length: 18 }, () => 0), 1]);
    expect(gpus[0]).toMatchObject({ throttled: { 'power-cap': 2, 'sw-thermal': 1 }, starved: 1, xids: [31], smClockMaxMhz: 2_040 });
    expect(host).toMatchObject({ cpuMean: 10, busiestCpuMean: 39.8, diskReadBytes: 1_200, diskWriteBytes: 0, netReceivedBytes: null, diskFreeBytes: 9_000 });
  });

  test('of nothing is none', () => {
    expect(beginSpan(5, new Map()).finish(10)).toBeNull();
  });

  test('of any samples is one that the laptop takes', () => {
    const number = fc.option(fc.double({ min: 0, max: 1e12, noNaN: true }), { nil: null });
    const per = fc.option(fc.integer({ min: 0, max: 100 }), { nil: null });
    const gpu = fc.record({
      index: fc.nat(3),
      utilization: per,
      memoryUsedBytes: number,
      powerWatts: number,
      temperatureC: per,
      xid: per,
      eccUncorrected: number,
    });
    const host = fc.record({ cpu: per, busiestCpu: per, diskReadBytesPerSecond: number, memoryUsedBytes: number });
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.uniqueArray(gpu, { selector: ({ index }) => index }), host), { minLength: 1, maxLength: 8 }), (given) => {
        const samples = given.map(([gpus, around]) => sampleOf(gpus.map(gpuOf), hostOf(around)));
        expect(samples.every(isTelemetrySample)).toBe(true);
        const span: unknown = JSON.parse(JSON.stringify(spanOf(samples)));
        expect(isTelemetrySpan(span)).toBe(true);
        for (const { index, utilization } of (span as TelemetrySpan).gpus) {
          const told = samples.flatMap(({ gpus }) => gpus).filter((each) => each.index === index && each.utilization !== null).length;
          expect(utilization.reduce((sum, count) => sum + count, 0)).toBe(told);
        }
      }),
    );
  });
});

describe('in the journal', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'gpu-run-spans-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** A sampler that samples when it is told to, on a clock of its own. */
  function manual(gpus: readonly GpuSample[]) {
    let take: ((sample: TelemetrySample) => void) | null = null;
    let time = 1_000_000;
    const sampler: Sampler = {
      subscribe(given) {
        take = given;
        sampler.sample();
        return () => {
          take = null;
        };
      },
      sample: () => take?.(sampleOf(gpus)),
    };
    return {
      sampler,
      now: () => time,
      tick(ms: number) {
        time += ms;
        sampler.sample();
      },
      isOpen: () => take !== null,
    };
  }

  const spansIn = (records: readonly NewRecord[]) => records.flatMap((record) => (record.type === 'telemetry' ? [record.span] : []));

  test('spans follow each other without a gap, short at first and longer later; the last one ends with the job', () => {
    const records: NewRecord[] = [];
    const machine = manual([gpuOf(), gpuOf({ index: 1 })]);
    const journal = openJournal(join(folder, 'first'), machine.now);
    journal.append([{ type: 'state', state: 'running', logOffset: 0 }]);
    const append = (more: readonly NewRecord[]) => {
      records.push(...more);
      journal.append(more);
    };
    const end = recordTelemetry({ journal: { append, facts: journal.facts }, sampler: machine.sampler, gpus: [{ index: 1 }], now: machine.now });
    for (let tick = 0; tick < 50_000; tick += 1) machine.tick(2_000);
    end();
    expect(machine.isOpen()).toBe(false);
    const spans = spansIn(records);
    expect(spans.slice(0, 3).map(({ from, to }) => to - from)).toEqual([10_000, 10_000, 10_000]);
    expect(spans.slice(100, 102).map(({ from, to }) => to - from)).toEqual([60_000, 60_000]);
    expect(spans.slice(-3, -1).map(({ from, to }) => to - from)).toEqual([300_000, 300_000]);
    expect(spans[0]?.from).toBe(1_000_000);
    expect(spans.at(-1)?.to).toBe(machine.now());
    for (const [index, { from }] of spans.entries()) if (index > 0) expect(from).toBe(spans[index - 1]?.to);
    expect(spans.every(({ gpus }) => gpus.length === 1 && gpus[0]?.index === 1)).toBe(true);
    journal.close();
  });

  test('a clock that is set back makes no span overlap another', () => {
    const records: NewRecord[] = [];
    const machine = manual([gpuOf()]);
    const end = recordTelemetry({
      journal: { append: (more) => void records.push(...more), facts: { ...openJournal(join(folder, 'empty')).facts, startedAt: machine.now() } },
      sampler: machine.sampler,
      gpus: null,
      now: machine.now,
    });
    for (const ms of [10_000, 5_000, -8_000, 2_000, 10_000, 500]) machine.tick(ms);
    end();
    const spans = spansIn(records);
    expect(spans.length).toBeGreaterThan(1);
    for (const [index, { from, to }] of spans.entries()) {
      expect(to).toBeGreaterThanOrEqual(from);
      if (index > 0) expect(from).toBeGreaterThanOrEqual(spans[index - 1]?.to ?? 0);
    }
  });

  test('a disk without room costs a span, and nothing else', () => {
    const records: NewRecord[] = [];
    let full = true;
    const machine = manual([gpuOf()]);
    const append = (more: readonly NewRecord[]) => {
      if (full) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
      records.push(...more);
    };
    const facts = { ...openJournal(join(folder, 'none')).facts, startedAt: machine.now() };
    const end = recordTelemetry({ journal: { append, facts }, sampler: machine.sampler, gpus: null, now: machine.now });
    machine.tick(10_000);
    full = false;
    machine.tick(10_000);
    end();
    expect(spansIn(records).map(({ from, to }) => [from - 1_000_000, to - 1_000_000])).toEqual([
      [10_000, 20_000],
      [20_000, 20_000],
    ]);
  });
});
