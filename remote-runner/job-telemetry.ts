/** What the machine did while a job ran, written into the job's journal span after span. Telemetry may get lost; the job never hears of it. */
import type { GpuSample, TelemetrySample } from '../src/protocol/telemetry.ts';
import type { Journal } from './journal.ts';
import type { Sampler } from './sampler.ts';
import { beginSpan } from './telemetry-span.ts';

/** Fine at first, when somebody watches, and coarser later: a week of them stays small. From the job's start on, milliseconds. */
const spanLengths: readonly { readonly until: number; readonly spanMs: number }[] = [
  { until: 600_000, spanMs: 10_000 },
  { until: 86_400_000, spanMs: 60_000 },
  { until: Number.POSITIVE_INFINITY, spanMs: 300_000 },
];

export interface JobTelemetryOptions {
  readonly journal: Pick<Journal, 'append' | 'facts'>;
  readonly sampler: Sampler;
  /** The GPUs that the job may use; null: all. */
  readonly gpus: readonly { readonly index: number }[] | null;
  /** Milliseconds since the epoch that only grow: spans must not overlap when somebody sets the clock. */
  readonly now?: () => number;
}

/** Begins at once, with a span of its own also where another runner had begun one. The returned function writes the last span. */
export function recordTelemetry({ journal, sampler, gpus, now = steadyClock() }: JobTelemetryOptions): () => void {
  const startedAt = journal.facts.startedAt ?? now();
  const knownXids = new Map<number, number>();
  const counts = (gpu: GpuSample) => gpus?.some(({ index }) => index === gpu.index) ?? true;
  let span = beginSpan(now(), knownXids);

  const write = (at: number) => {
    const finished = span.finish(at);
    span = beginSpan(at, knownXids);
    if (finished === null) return;
    try {
      journal.append([{ type: 'telemetry', span: finished }]);
    } catch {
      // A full disk, most likely: whatever it is, the job is supervised by those who also write there, and care.
    }
  };
  const take = (sample: TelemetrySample) => {
    const at = Math.max(span.from, now());
    span.add(sample, at, sample.gpus.filter(counts));
    if (at - span.from >= spanMsAt(at - startedAt)) write(at);
  };
  const leave = sampler.subscribe(take);
  return () => {
    sampler.sample();
    leave();
    write(Math.max(span.from, now()));
  };
}

function spanMsAt(age: number): number {
  return spanLengths.find(({ until }) => age < until)?.spanMs ?? 0;
}

function steadyClock(): () => number {
  const begun = Date.now() - performance.now();
  return () => begun + performance.now();
}
