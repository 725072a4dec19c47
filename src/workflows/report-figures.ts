/**
 * What a job's records come to. null: not known. Times are seconds, sizes bytes, money US dollars, shares 0 to 1; utilisation is
 * per cent, as the driver says it.
 */
import type { JobEntry, JobRecord, TelemetrySpan } from '../core/job.ts';
import type { MachineEntry } from '../ledger/ledger.ts';

export type ThrottleShares = Readonly<Record<string, number>>;

export interface GpuFigures {
  readonly index: number;
  readonly name: string;
  /** How long it was watched while the command ran, seconds, and how often it was looked at. */
  readonly seconds: number;
  readonly samples: number;
  readonly utilizationMean: number | null;
  /** To within 5 per cent: the records count in steps of five. */
  readonly utilizationP50: number | null;
  /** Of the samples that tell: those below 5 per cent. */
  readonly idleShare: number | null;
  readonly memoryPeakBytes: number | null;
  readonly memoryMeanBytes: number | null;
  readonly memoryTotalBytes: number | null;
  /** The smallest usual card that would hold it with headroom, GB; null: this size is needed, or the peak is not known. */
  readonly smallerCardGb: number | null;
  readonly powerMeanWatts: number | null;
  readonly powerLimitWatts: number | null;
  readonly temperatureMaxC: number | null;
  readonly smClockMeanMhz: number | null;
  readonly smClockMaxMhz: number | null;
  /** By reason: share of the samples in which it was slowed down. */
  readonly throttled: ThrottleShares;
  /** Share of the samples in which it idled while a CPU was busy. */
  readonly starvedShare: number;
  /** Uncorrected memory errors that came while it was watched. */
  readonly eccErrors: number | null;
  readonly xids: readonly number[];
}

export interface HostFigures extends Omit<TelemetrySpan['host'], 'diskFreeBytes'> {
  readonly diskFreeLeastBytes: number | null;
}

export interface TimeFigures {
  /** From the machine's order until it was ready, and from then until the job was there, synced. Only of the first job of a machine that was rented for it. */
  readonly startUp: number | null;
  readonly sync: number | null;
  readonly queue: number;
  readonly setup: number;
  /** While the command itself ran, all attempts. */
  readonly run: number;
  /** From the end of an attempt to the beginning of the next. */
  readonly between: number;
  /** Of `run`: how long GPUs and host were watched. */
  readonly watched: number;
  readonly longestSilence: number | null;
}

export interface TrainingFigures {
  readonly records: number;
  readonly stepsPerSecond: number | null;
  readonly lastStep: number | null;
  readonly secondsPerEpoch: number | null;
  readonly lastEpoch: number | null;
  readonly last: Readonly<Record<string, number>>;
}

export interface CheckpointFigures {
  readonly count: number;
  readonly bytes: number;
  /** While at least one was being written. */
  readonly seconds: number;
  readonly shareOfRun: number | null;
  /** From one to the next, mean. */
  readonly interval: number | null;
}

export interface CostFigures {
  readonly pricePerHour: number;
  /** Of the job, as `gpu-run cost` counts it. */
  readonly usd: number;
  /** GPUs below 5 per cent, each at its part of the price; null: not known, or the attempts ran on machines of several prices. */
  readonly idleUsd: number | null;
  readonly perEpochUsd: number | null;
}

export interface Advice {
  /** For scripts: `starved`, `smaller-card`, ... */
  readonly code: string;
  readonly level: 'warn' | 'info';
  /** What is the matter: a sentence without a full stop. */
  readonly text: string;
  /** The numbers that it rests on. */
  readonly evidence: string;
  /** What to do, the likeliest first. */
  readonly actions: readonly string[];
}

export interface Figures {
  readonly attempts: number;
  readonly times: TimeFigures;
  readonly gpus: readonly GpuFigures[];
  readonly host: HostFigures | null;
  readonly training: TrainingFigures;
  readonly checkpoints: CheckpointFigures;
  readonly cost: CostFigures;
}

/** What advice rests on. */
export interface Evidence extends Figures {
  readonly job: JobEntry;
  readonly machine: MachineEntry;
}

export interface JobReport extends Evidence {
  /** Milliseconds since the epoch, on the machine: the newest record. null: there are none. */
  readonly asOf: number | null;
  readonly records: readonly JobRecord[];
  readonly advice: readonly Advice[];
  /** What the machine has warned of while the job ran, each once, the first ones: patterns of metrics that gave no number, a full disk. */
  readonly warnings: readonly string[];
  /** What is not known, and why. Sentences without a full stop. */
  readonly unknown: readonly string[];
}

const mostWarnings = 20;

export function warningsOf(records: readonly JobRecord[]): string[] {
  const texts = records.flatMap((record) => (record.type === 'note' && record.level === 'warn' ? [record.text] : []));
  return [...new Set(texts)].slice(0, mostWarnings);
}

export function spansOf(records: readonly JobRecord[]): TelemetrySpan[] {
  return records.flatMap((record) => (record.type === 'telemetry' ? [record.span] : []));
}
