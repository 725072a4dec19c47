/** Records of a job as its runner writes them, for reports. */
import type { JobRecord, TelemetrySpan } from '../../../src/core/job.ts';

type Body<T> = T extends unknown ? Omit<T, 'n' | 't'> : never;
type Gpu = TelemetrySpan['gpus'][number];

export type Entry = readonly [at: number, body: Body<JobRecord>];

export const began = Date.UTC(2026, 10, 21, 12);

/** Numbers them; `at` is seconds since the job came. */
export function recordsAt(...entries: readonly Entry[]): JobRecord[] {
  return entries.toSorted(([a], [b]) => a - b).map(([at, body], index) => ({ n: index + 1, t: began + Math.round(at * 1000), ...body }) as JobRecord);
}

export function stateRecord(state: 'queued' | 'setup' | 'running' | 'cancelling'): Body<JobRecord> {
  return { type: 'state', state, logOffset: 0 };
}

export function endRecord(code = 0): Body<JobRecord> {
  return { type: 'state', state: 'ended', logOffset: 0, end: { code, signal: null, reason: 'exit', detail: null } };
}

export function metricRecord(values: Record<string, number>, step: number | null, epoch: number | null = null): Body<JobRecord> {
  return { type: 'metric', values, step, epoch, source: 'json', at: 0 };
}

export function checkpointRecord(at: number, seconds: number, bytes = 1e9): Body<JobRecord> {
  return { type: 'checkpoint', path: 'checkpoints/last.pt', bytes, beganAt: began + (at - seconds) * 1000, endedAt: began + at * 1000 };
}

/** `bins`: samples by utilisation: from 0, from 5, ... per cent. */
export function gpuSpan(bins: Readonly<Record<number, number>>, changes: Partial<Gpu> = {}): Gpu {
  const utilization = Array.from({ length: 20 }, (_, bin) => bins[bin * 5] ?? 0);
  const samples = utilization.reduce((sum, count) => sum + count, 0);
  const total = utilization.reduce((sum, count, bin) => sum + count * (bin === 0 ? 0 : bin * 5 + 2), 0);
  return {
    index: 0,
    name: 'NVIDIA L4',
    utilization,
    utilizationMean: samples === 0 ? null : total / samples,
    memoryPeakBytes: 14e9,
    memoryMeanBytes: 12e9,
    memoryTotalBytes: 23_034 * 2 ** 20,
    powerMeanWatts: 60,
    powerLimitWatts: 72,
    temperatureMaxC: 66,
    smClockMeanMhz: 1500,
    smClockMaxMhz: 2040,
    throttled: {},
    starved: 0,
    eccUncorrected: 0,
    xids: [],
    ...changes,
  };
}

/** `from`, `to`: seconds since the job came; one sample a second. */
export function spanRecord(from: number, to: number, gpus: readonly Gpu[], host: Partial<TelemetrySpan['host']> = {}): Body<JobRecord> {
  const span: TelemetrySpan = {
    from: began + from * 1000,
    to: began + to * 1000,
    samples: to - from,
    source: gpus.length === 0 ? 'none' : 'nvml',
    gpus,
    host: {
      cpus: 4,
      cpuMean: 20,
      busiestCpuMean: 60,
      memoryPeakBytes: 6e9,
      memoryTotalBytes: 16e9,
      diskReadBytes: 1e9,
      diskWriteBytes: 1e8,
      diskFreeBytes: 50e9,
      netReceivedBytes: 1e6,
      netSentBytes: 1e6,
      ...host,
    },
  };
  return { type: 'telemetry', span };
}
