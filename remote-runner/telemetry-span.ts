/** Many samples of a machine added up: what is kept of them for good. */
import type { GpuSample, GpuSpan, HostSample, TelemetrySample, TelemetrySpan, ThrottleReason } from '../src/protocol/telemetry.ts';
import { utilizationBins } from '../src/protocol/telemetry.ts';

/** Per cent: below, a GPU idles. */
const idleBelow = 5;
/** Per cent: above, one CPU or all of them together are busy enough to hold up a GPU. */
const oneCpuBusyAbove = 90;
const allCpusBusyAbove = 50;

export interface SpanBuilder {
  readonly from: number;
  /** Milliseconds since the epoch, never before those of the sample before. `gpus`: the samples of those that count. */
  add(sample: TelemetrySample, at: number, gpus: readonly GpuSample[]): void;
  /** null: nothing was added. */
  finish(to: number): TelemetrySpan | null;
}

/** `knownXids`: the newest of each GPU, by its index; what a span sees is noted there. */
export function beginSpan(from: number, knownXids: Map<number, number>): SpanBuilder {
  const gpuSums = new Map<number, GpuSums>();
  const host = createHostSums();
  let source: TelemetrySample['source'] = 'none';
  let samples = 0;
  let last = from;
  return {
    from,
    add(sample, at, gpus) {
      samples += 1;
      if (sample.source !== 'none') source = sample.source;
      host.add(sample.host, Math.max(0, at - last) / 1_000);
      last = at;
      for (const gpu of gpus) {
        const sums = gpuSums.get(gpu.index) ?? createGpuSums();
        gpuSums.set(gpu.index, sums);
        sums.add(gpu, sample.host);
        if (gpu.xid !== null && knownXids.get(gpu.index) !== gpu.xid) sums.xids.push(gpu.xid);
        if (gpu.xid !== null) knownXids.set(gpu.index, gpu.xid);
      }
    },
    finish(to) {
      if (samples === 0) return null;
      const gpus = [...gpuSums.values()].map((sums) => sums.span()).sort((a, b) => a.index - b.index);
      return { from: Math.round(from), to: Math.round(Math.max(from, to)), samples, source, gpus, host: host.span() };
    },
  };
}

interface GpuSums {
  readonly xids: number[];
  add(gpu: GpuSample, host: HostSample): void;
  span(): GpuSpan;
}

function createGpuSums(): GpuSums {
  const utilization = Array.from({ length: utilizationBins }, () => 0);
  const use = meanOf();
  const memory = meanOf();
  const power = meanOf();
  const clock = meanOf();
  const throttled: Partial<Record<ThrottleReason, number>> = {};
  const xids: number[] = [];
  let memoryPeak: number | null = null;
  let hottest: number | null = null;
  let starved = 0;
  let newest: GpuSample | null = null;
  return {
    xids,
    add(gpu, host) {
      newest = merge(newest, gpu);
      use.add(gpu.utilization);
      memory.add(gpu.memoryUsedBytes);
      power.add(gpu.powerWatts);
      clock.add(gpu.smClockMhz);
      memoryPeak = largest(memoryPeak, gpu.memoryUsedBytes);
      hottest = largest(hottest, gpu.temperatureC);
      for (const reason of gpu.throttle) throttled[reason] = (throttled[reason] ?? 0) + 1;
      if (gpu.utilization === null) return;
      const bin = binOf(gpu.utilization);
      utilization[bin] = (utilization[bin] ?? 0) + 1;
      if (gpu.utilization < idleBelow && isBusy(host)) starved += 1;
    },
    span: () => ({
      index: newest?.index ?? 0,
      name: newest?.name ?? '',
      utilization,
      utilizationMean: use.mean(10),
      memoryPeakBytes: memoryPeak,
      memoryMeanBytes: memory.mean(1),
      memoryTotalBytes: newest?.memoryTotalBytes ?? null,
      powerMeanWatts: power.mean(10),
      powerLimitWatts: newest?.powerLimitWatts ?? null,
      temperatureMaxC: hottest,
      smClockMeanMhz: clock.mean(1),
      smClockMaxMhz: newest?.smClockMaxMhz ?? null,
      throttled,
      starved,
      eccUncorrected: newest?.eccUncorrected ?? null,
      xids,
    }),
  };
}

function binOf(utilization: number): number {
  return Math.min(utilizationBins - 1, Math.max(0, Math.floor(utilization / (100 / utilizationBins))));
}

/** A GPU that was lost in between still has what it told before. */
function merge(before: GpuSample | null, now: GpuSample): GpuSample {
  if (before === null) return now;
  return {
    ...now,
    memoryTotalBytes: now.memoryTotalBytes ?? before.memoryTotalBytes,
    powerLimitWatts: now.powerLimitWatts ?? before.powerLimitWatts,
    smClockMaxMhz: now.smClockMaxMhz ?? before.smClockMaxMhz,
    eccUncorrected: now.eccUncorrected ?? before.eccUncorrected,
  };
}

function isBusy({ cpu, busiestCpu }: HostSample): boolean {
  return (busiestCpu ?? 0) > oneCpuBusyAbove || (cpu ?? 0) > allCpusBusyAbove;
}

interface HostSums {
  add(host: HostSample, seconds: number): void;
  span(): TelemetrySpan['host'];
}

function createHostSums(): HostSums {
  const cpu = meanOf();
  const busiest = meanOf();
  const totals: Record<'diskReadBytes' | 'diskWriteBytes' | 'netReceivedBytes' | 'netSentBytes', number | null> = {
    diskReadBytes: null,
    diskWriteBytes: null,
    netReceivedBytes: null,
    netSentBytes: null,
  };
  let memoryPeak: number | null = null;
  let newest: HostSample | null = null;
  return {
    add(host, seconds) {
      newest = host;
      cpu.add(host.cpu);
      busiest.add(host.busiestCpu);
      memoryPeak = largest(memoryPeak, host.memoryUsedBytes);
      const count = (name: keyof typeof totals, rate: number | null) => {
        if (rate !== null) totals[name] = (totals[name] ?? 0) + Math.round(rate * seconds);
      };
      count('diskReadBytes', host.diskReadBytesPerSecond);
      count('diskWriteBytes', host.diskWriteBytesPerSecond);
      count('netReceivedBytes', host.netReceivedBytesPerSecond);
      count('netSentBytes', host.netSentBytesPerSecond);
    },
    span: () => ({
      cpus: newest?.cpus ?? 0,
      cpuMean: cpu.mean(10),
      busiestCpuMean: busiest.mean(10),
      memoryPeakBytes: memoryPeak,
      memoryTotalBytes: newest?.memoryTotalBytes ?? null,
      diskFreeBytes: newest?.diskFreeBytes ?? null,
      ...totals,
    }),
  };
}

/** Of the values that are told; `mean` rounds to parts of one. */
function meanOf(): { add(value: number | null): void; mean(parts: number): number | null } {
  let sum = 0;
  let count = 0;
  return {
    add(value) {
      if (value === null) return;
      sum += value;
      count += 1;
    },
    mean: (parts) => (count === 0 ? null : Math.round((sum / count) * parts) / parts),
  };
}

function largest(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.max(a, b);
}
