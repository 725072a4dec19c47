/** Checks what a machine tells of itself before anybody acts on it or keeps it. Imports its own folder only. */
import { type Fields, isCount, isFields, isListOf, isNullOr, isNumber, isText, isTime } from './shape.ts';
import { type TelemetrySample, type TelemetrySpan, type ThrottleReason, utilizationBins } from './telemetry.ts';

const sources: ReadonlySet<unknown> = new Set<TelemetrySample['source']>(['nvml', 'nvidia-smi', 'none']);
const reasons: ReadonlySet<unknown> = new Set<ThrottleReason>([
  'power-cap',
  'hw-slowdown',
  'sw-thermal',
  'hw-thermal',
  'hw-power-brake',
  'sync-boost',
  'application-clocks',
  'display-clocks',
]);

const gpuSpanNumbers = [
  'utilizationMean',
  'memoryPeakBytes',
  'memoryMeanBytes',
  'memoryTotalBytes',
  'powerMeanWatts',
  'powerLimitWatts',
  'temperatureMaxC',
  'smClockMeanMhz',
  'smClockMaxMhz',
  'eccUncorrected',
];
const hostSpanNumbers = [
  'cpuMean',
  'busiestCpuMean',
  'memoryPeakBytes',
  'memoryTotalBytes',
  'diskReadBytes',
  'diskWriteBytes',
  'diskFreeBytes',
  'netReceivedBytes',
  'netSentBytes',
];
const gpuSampleNumbers = [
  'utilization',
  'memoryUtilization',
  'memoryUsedBytes',
  'memoryTotalBytes',
  'powerWatts',
  'powerLimitWatts',
  'temperatureC',
  'smClockMhz',
  'smClockMaxMhz',
  'eccUncorrected',
  'xid',
];
const hostSampleNumbers = [
  'cpu',
  'busiestCpu',
  'memoryUsedBytes',
  'memoryTotalBytes',
  'diskReadBytesPerSecond',
  'diskWriteBytesPerSecond',
  'diskFreeBytes',
  'netReceivedBytesPerSecond',
  'netSentBytesPerSecond',
];

export function isTelemetrySpan(value: unknown): value is TelemetrySpan {
  if (!isFields(value) || !isFields(value['host'])) return false;
  const { from, to, samples, source, gpus, host } = value;
  const isHost = isCount(host['cpus']) && haveNumbers(host, hostSpanNumbers);
  return isTime(from) && isTime(to) && isCount(samples) && sources.has(source) && isHost && isListOf(isGpuSpan, gpus);
}

export function isTelemetrySample(value: unknown): value is TelemetrySample {
  if (!isFields(value) || !isFields(value['host'])) return false;
  const { t, source, problem, gpus, processes, host } = value;
  const isHost = isCount(host['cpus']) && haveNumbers(host, hostSampleNumbers);
  return isTime(t) && sources.has(source) && isNullOr(isText, problem) && isHost && isListOf(isGpuSample, gpus) && isListOf(isGpuProcess, processes);
}

function isGpuSpan(value: unknown): boolean {
  if (!isFields(value)) return false;
  const { index, name, utilization, throttled, starved, xids } = value;
  const isCounted = isListOf(isCount, utilization) && (utilization as unknown[]).length === utilizationBins;
  const isThrottled = isFields(throttled) && Object.entries(throttled).every(([reason, count]) => reasons.has(reason) && isCount(count));
  return isCount(index) && isText(name) && isCounted && isThrottled && isCount(starved) && isListOf(isCount, xids) && haveNumbers(value, gpuSpanNumbers);
}

function isGpuSample(value: unknown): boolean {
  if (!isFields(value)) return false;
  const { index, uuid, name, throttle } = value;
  return isCount(index) && isText(uuid) && isText(name) && isListOf((reason) => reasons.has(reason), throttle) && haveNumbers(value, gpuSampleNumbers);
}

function isGpuProcess(value: unknown): boolean {
  if (!isFields(value)) return false;
  const { gpu, pid, name, memoryUsedBytes, job } = value;
  return isCount(gpu) && isCount(pid) && isNullOr(isText, name) && isNullOr(isNumber, memoryUsedBytes) && isNullOr(isText, job);
}

function haveNumbers(fields: Fields, names: readonly string[]): boolean {
  return names.every((name) => isNullOr(isNumber, fields[name]));
}
