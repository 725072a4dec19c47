/** What is measured of a machine: its GPUs and the host around them. Imports nothing. null: the machine does not tell. */

/** Why a GPU runs slower than it could, in NVML's words ("clocks event reasons"); being idle is no such reason. */
export type ThrottleReason =
  | 'power-cap'
  | 'hw-slowdown'
  | 'sw-thermal'
  | 'hw-thermal'
  | 'hw-power-brake'
  | 'sync-boost'
  | 'application-clocks'
  | 'display-clocks';

/** One look at one GPU. */
export interface GpuSample {
  /** As the driver counts them, from 0. */
  readonly index: number;
  readonly uuid: string;
  readonly name: string;
  /** Per cent of the last moment in which any kernel ran; 100 does not mean busy. */
  readonly utilization: number | null;
  /** Per cent of the last moment in which memory was read or written. */
  readonly memoryUtilization: number | null;
  readonly memoryUsedBytes: number | null;
  readonly memoryTotalBytes: number | null;
  readonly powerWatts: number | null;
  readonly powerLimitWatts: number | null;
  readonly temperatureC: number | null;
  readonly smClockMhz: number | null;
  readonly smClockMaxMhz: number | null;
  readonly throttle: readonly ThrottleReason[];
  /** Since the driver was loaded. */
  readonly eccUncorrected: number | null;
  /** The newest XID error since sampling began. */
  readonly xid: number | null;
}

export interface GpuProcess {
  /** Index of the GPU. */
  readonly gpu: number;
  readonly pid: number;
  readonly name: string | null;
  readonly memoryUsedBytes: number | null;
  /** The job of ours that it belongs to. */
  readonly job: string | null;
}

/** Rates are means since the sample before; null in the first one. */
export interface HostSample {
  readonly cpus: number;
  /** Per cent of all CPUs, 0 to 100. */
  readonly cpu: number | null;
  /** Per cent of the busiest CPU: one that is full while the others rest holds up a data loader with a single worker. */
  readonly busiestCpu: number | null;
  readonly memoryUsedBytes: number | null;
  readonly memoryTotalBytes: number | null;
  readonly diskReadBytesPerSecond: number | null;
  readonly diskWriteBytesPerSecond: number | null;
  /** Of the file system that holds the workdir. */
  readonly diskFreeBytes: number | null;
  readonly netReceivedBytesPerSecond: number | null;
  readonly netSentBytesPerSecond: number | null;
}

/** One look at the machine. */
export interface TelemetrySample {
  /** Milliseconds since the epoch, on the machine. */
  readonly t: number;
  readonly source: 'nvml' | 'nvidia-smi' | 'none';
  /** What is wrong with the GPUs, or why they can't be told of, in words without a full stop; null: nothing, or the machine has none. */
  readonly problem: string | null;
  readonly gpus: readonly GpuSample[];
  readonly processes: readonly GpuProcess[];
  readonly host: HostSample;
}

/** The samples of a span of time, of one GPU. */
export interface GpuSpan {
  readonly index: number;
  readonly name: string;
  /** How many samples said a utilisation of 0-4, 5-9, ... 90-94, 95-100 per cent: 20 counts. */
  readonly utilization: readonly number[];
  /** Per cent, mean of the samples that tell. */
  readonly utilizationMean: number | null;
  readonly memoryPeakBytes: number | null;
  readonly memoryMeanBytes: number | null;
  readonly memoryTotalBytes: number | null;
  readonly powerMeanWatts: number | null;
  readonly powerLimitWatts: number | null;
  readonly temperatureMaxC: number | null;
  readonly smClockMeanMhz: number | null;
  readonly smClockMaxMhz: number | null;
  /** Samples in which it was slowed down, by reason; a sample may count for several. */
  readonly throttled: Readonly<Partial<Record<ThrottleReason, number>>>;
  /** Samples in which it idled (below 5 %) while a CPU was busy (above 90 % on one, or above 50 % on all). */
  readonly starved: number;
  readonly eccUncorrected: number | null;
  /** XID errors that came in the span. */
  readonly xids: readonly number[];
}

/** What many samples of a machine come to. Spans of one job follow each other and do not overlap. */
export interface TelemetrySpan {
  /** Milliseconds since the epoch, on the machine. */
  readonly from: number;
  readonly to: number;
  readonly samples: number;
  readonly source: TelemetrySample['source'];
  /** Those that the job may use. */
  readonly gpus: readonly GpuSpan[];
  readonly host: {
    readonly cpus: number;
    readonly cpuMean: number | null;
    readonly busiestCpuMean: number | null;
    readonly memoryPeakBytes: number | null;
    readonly memoryTotalBytes: number | null;
    readonly diskReadBytes: number | null;
    readonly diskWriteBytes: number | null;
    readonly diskFreeBytes: number | null;
    readonly netReceivedBytes: number | null;
    readonly netSentBytes: number | null;
  };
}

/** Counts of `GpuSpan.utilization`. */
export const utilizationBins = 20;
