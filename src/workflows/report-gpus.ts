/** GPUs and host, from the spans in which they were watched. Means are weighted by the time that each span covers. */
import { smallerCard } from '../core/gpu-memory.ts';
import type { TelemetrySpan } from '../core/job.ts';
import type { GpuFigures, HostFigures, ThrottleShares } from './report-figures.ts';

type GpuSpan = TelemetrySpan['gpus'][number];

interface Watched {
  readonly span: TelemetrySpan;
  readonly gpu: GpuSpan;
}

/** By index. */
export function gpuFigures(spans: readonly TelemetrySpan[]): GpuFigures[] {
  const byIndex = new Map<number, Watched[]>();
  for (const span of spans) {
    for (const gpu of span.gpus) {
      const known = byIndex.get(gpu.index);
      if (known === undefined) byIndex.set(gpu.index, [{ span, gpu }]);
      else known.push({ span, gpu });
    }
  }
  return [...byIndex].sort(([a], [b]) => a - b).map(([index, watched]) => figuresOf(index, watched));
}

function figuresOf(index: number, watched: readonly Watched[]): GpuFigures {
  const samples = sum(watched.map(({ span }) => span.samples));
  const bins = addUp(watched.map(({ gpu }) => gpu.utilization));
  const mean = (pick: (gpu: GpuSpan) => number | null) => weightedMean(watched.map(({ span, gpu }) => [pick(gpu), span.samples]));
  const peak = (pick: (gpu: GpuSpan) => number | null) => most(watched.map(({ gpu }) => pick(gpu)));
  const memoryPeakBytes = peak((gpu) => gpu.memoryPeakBytes);
  const memoryTotalBytes = peak((gpu) => gpu.memoryTotalBytes);
  const fits = memoryPeakBytes === null || memoryTotalBytes === null ? null : smallerCard(memoryPeakBytes, memoryTotalBytes);
  return {
    index,
    name: watched.at(-1)?.gpu.name ?? '',
    seconds: secondsOf(watched.map(({ span }) => span)),
    samples,
    utilizationMean: mean((gpu) => gpu.utilizationMean),
    utilizationP50: medianOf(bins),
    idleShare: idleShareOf(bins),
    memoryPeakBytes,
    memoryMeanBytes: mean((gpu) => gpu.memoryMeanBytes),
    memoryTotalBytes,
    smallerCardGb: fits?.gb ?? null,
    powerMeanWatts: mean((gpu) => gpu.powerMeanWatts),
    powerLimitWatts: peak((gpu) => gpu.powerLimitWatts),
    temperatureMaxC: peak((gpu) => gpu.temperatureMaxC),
    smClockMeanMhz: mean((gpu) => gpu.smClockMeanMhz),
    smClockMaxMhz: peak((gpu) => gpu.smClockMaxMhz),
    throttled: throttleShares(watched, samples),
    starvedShare: samples === 0 ? 0 : sum(watched.map(({ gpu }) => gpu.starved)) / samples,
    eccErrors: eccErrors(watched),
    xids: watched.flatMap(({ gpu }) => gpu.xids),
  };
}

function throttleShares(watched: readonly Watched[], samples: number): ThrottleShares {
  const counts = new Map<string, number>();
  for (const { gpu } of watched) for (const [reason, count] of Object.entries(gpu.throttled)) counts.set(reason, (counts.get(reason) ?? 0) + count);
  const shares = [...counts].filter(([, count]) => count > 0 && samples > 0).map(([reason, count]) => [reason, count / samples] as const);
  return Object.fromEntries(shares.sort(([, a], [, b]) => b - a));
}

/** The driver counts since it was loaded: what it said first is not this job's, and after a reboot it begins anew. */
function eccErrors(watched: readonly Watched[]): number | null {
  const counts = watched.flatMap(({ gpu }) => (gpu.eccUncorrected === null ? [] : [gpu.eccUncorrected]));
  if (counts.length === 0) return null;
  return sum(counts.map((count, at) => (at === 0 ? 0 : Math.max(0, count - (counts[at - 1] ?? 0)))));
}

/** null: nobody watched. */
export function hostFigures(spans: readonly TelemetrySpan[]): HostFigures | null {
  const last = spans.at(-1);
  if (last === undefined) return null;
  type Host = TelemetrySpan['host'];
  const mean = (pick: (host: Host) => number | null) => weightedMean(spans.map(({ host, samples }) => [pick(host), samples]));
  const total = (pick: (host: Host) => number | null) => sumKnown(spans.map(({ host }) => pick(host)));
  const peak = (pick: (host: Host) => number | null) => most(spans.map(({ host }) => pick(host)));
  const least = most(spans.map(({ host }) => (host.diskFreeBytes === null ? null : -host.diskFreeBytes)));
  return {
    cpus: last.host.cpus,
    cpuMean: mean((host) => host.cpuMean),
    busiestCpuMean: mean((host) => host.busiestCpuMean),
    memoryPeakBytes: peak((host) => host.memoryPeakBytes),
    memoryTotalBytes: peak((host) => host.memoryTotalBytes),
    diskReadBytes: total((host) => host.diskReadBytes),
    diskWriteBytes: total((host) => host.diskWriteBytes),
    diskFreeLeastBytes: least === null ? null : -least,
    netReceivedBytes: total((host) => host.netReceivedBytes),
    netSentBytes: total((host) => host.netSentBytes),
  };
}

export function secondsOf(spans: readonly TelemetrySpan[]): number {
  return sum(spans.map(({ from, to }) => Math.max(0, to - from))) / 1000;
}

/** Within the bin as if its samples lay evenly in it. */
function medianOf(bins: readonly number[]): number | null {
  const half = sum(bins) / 2;
  if (half === 0) return null;
  let below = 0;
  for (const [bin, count] of bins.entries()) {
    if (count > 0 && below + count >= half) return Math.min(100, (bin + (half - below) / count) * (100 / bins.length));
    below += count;
  }
  return null;
}

export function idleShareOf(bins: readonly number[]): number | null {
  const all = sum(bins);
  return all === 0 ? null : (bins[0] ?? 0) / all;
}

function addUp(rows: readonly (readonly number[])[]): number[] {
  const total: number[] = [];
  for (const row of rows) for (const [at, count] of row.entries()) total[at] = (total[at] ?? 0) + count;
  return total;
}

function weightedMean(pairs: readonly (readonly [number | null, number])[]): number | null {
  let weight = 0;
  let total = 0;
  for (const [value, samples] of pairs) {
    if (value === null) continue;
    weight += samples;
    total += value * samples;
  }
  return weight === 0 ? null : total / weight;
}

function most(values: readonly (number | null)[]): number | null {
  return values.reduce((best, value) => (value !== null && (best === null || value > best) ? value : best), null);
}

function sumKnown(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : sum(known);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
