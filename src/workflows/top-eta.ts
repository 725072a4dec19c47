/** How much longer a job will take, where it says how much there is to do. */
import { epochTotals, stepTotals } from './report-training.ts';
import type { TopView } from './top-model.ts';

export interface Eta {
  readonly seconds: number;
  /** 0 to 1. */
  readonly done: number;
}

/** Seconds. */
const leastLeft = 1;

export interface Totals {
  readonly steps: number | null;
  readonly epochs: number | null;
}

/** From the metrics, else from a flag of the command as in `--epochs 10`. What may be the steps of one epoch says nothing about the whole. */
export function totalsOf({ job, training }: Pick<TopView, 'job' | 'training'>): Totals {
  const { last, epoch, step } = training;
  const named = (names: readonly string[]) => names.map((name) => last[name]).find((value) => value !== undefined && value > 0) ?? null;
  const flag = (pattern: RegExp) => {
    const found = pattern.exec(job?.command ?? '')?.[1];
    return found === undefined ? null : Number(found);
  };
  const epochs = named(epochTotals) ?? flag(/--(?:max|num|total)?[-_]?(?:train[-_])?epochs[= ](\d{1,9})\b/);
  const inEpochs = epoch !== null || (epochs ?? 0) > 1;
  const steps =
    named(stepTotals.filter((name) => name !== barTotal)) ??
    flag(/--(?:max|total)[-_]?(?:train[-_])?steps[= ](\d{1,12})\b/) ??
    (inEpochs ? stepsOfBars(training, epochs) : (named([barTotal]) ?? flag(/--(?:num|train)?[-_]?steps[= ](\d{1,12})\b/)));
  return { steps: steps !== null && (step === null || step <= steps) ? steps : null, epochs: epochs !== null && (epoch ?? 0) <= epochs ? epochs : null };
}

/** Name under which bars, and lines such as `Step [100/600]`, tell how much there is to do. */
const barTotal = 'total';

/** Of those that begin anew with each epoch: those that tell their epoch, and those of which there was more than one already. */
function stepsOfBars({ newest, step }: TopView['training'], epochs: number | null): number | null {
  const bar = newest.findLast(({ source, values }) => (source === 'tqdm' || source === 'pairs') && values[barTotal] !== undefined);
  const total = bar?.values[barTotal] ?? 0;
  if (bar === undefined || epochs === null || total <= 0) return null;
  return bar.epoch !== null || (step ?? 0) > total ? total * epochs : null;
}

/** null: not known, also where all that it has told of is done and it goes on. */
export function etaOf(view: Pick<TopView, 'job' | 'training'>): Eta | null {
  if (view.job === null || view.job.state !== 'running') return null;
  const { step, stepsPerSecond, epochsDone, secondsPerEpoch } = view.training;
  const { steps, epochs } = totalsOf(view);
  const etaIn = (seconds: number, done: number) => (Number.isFinite(seconds) && done < 1 ? { seconds: Math.max(leastLeft, seconds), done } : null);
  if (steps !== null && step !== null && stepsPerSecond !== null) return etaIn((steps - step) / stepsPerSecond, step / steps);
  if (epochs !== null && epochsDone !== null && secondsPerEpoch !== null) return etaIn((epochs - epochsDone) * secondsPerEpoch, epochsDone / epochs);
  return null;
}
