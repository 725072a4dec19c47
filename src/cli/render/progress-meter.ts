/** How fast it goes, out of what was reported: by the last seconds, so that a line which becomes slower or stands still is shown as such. */
import type { Phase, Report } from '../../core/reporter.ts';
import { progressText } from './progress-text.ts';

type Progress = Extract<Report, { type: 'progress' }>;

export interface Meter {
  /** A phase begins, perhaps once more: from nothing. */
  begin(phase: Phase): void;
  /** Gives what says how far it is, and how far at the time of asking. Never less than was said before. */
  take(progress: Progress): () => string;
}

/** Before this a rate, and then the time that is left, would be a guess. */
const rateAfterMs = 1_000;
const etaAfterMs = 3_000;
/** The rate is that of so long. */
const windowMs = 12_000;
const sampleEveryMs = 250;

interface Measure {
  latest: Progress;
  readonly beganAt: number;
  /** Oldest first; one just beyond the window is kept. */
  readonly samples: { readonly at: number; readonly done: number }[];
}

/** `now`: milliseconds. */
export function createMeter(now: () => number): Meter {
  const measures = new Map<Phase, Measure>();
  return {
    begin: (phase) => void measures.delete(phase),
    take: (progress) => {
      const known = measures.get(progress.phase);
      const measure = known === undefined || isAnew(progress, known.latest) ? beginMeasure(progress, now()) : goOn(known, progress, now());
      measures.set(progress.phase, measure);
      return () => describe(measure, now());
    },
  };
}

/** Another amount from its start, and not a piece that has to come again. */
function isAnew({ done, total, unit }: Progress, latest: Progress): boolean {
  return unit !== latest.unit || (done < latest.done && (done === 0 || total !== latest.total));
}

function beginMeasure(progress: Progress, at: number): Measure {
  return { latest: progress, beganAt: at, samples: [{ at, done: progress.done }] };
}

function goOn(measure: Measure, progress: Progress, at: number): Measure {
  const { samples } = measure;
  measure.latest = { ...progress, done: Math.max(progress.done, measure.latest.done) };
  if (at - (samples.at(-1)?.at ?? 0) < sampleEveryMs) return measure;
  samples.push({ at, done: measure.latest.done });
  while (samples.length > 2 && (samples[1]?.at ?? at) <= at - windowMs) samples.shift();
  return measure;
}

function describe({ latest, beganAt, samples }: Measure, at: number): string {
  const from = samples.findLast((sample) => sample.at <= at - windowMs) ?? samples[0];
  const elapsedMs = at - (from?.at ?? at);
  if (from === undefined || at - beganAt < rateAfterMs || elapsedMs <= 0) return progressText(latest, null);
  return progressText(latest, { perSecond: ((latest.done - from.done) * 1000) / elapsedMs, isSure: at - beganAt >= etaAfterMs });
}
