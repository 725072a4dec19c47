/** How much longer a job will take, where it says how much there is to do. */
import { epochTotals, stepTotals } from './report-training.ts';
import type { TopView } from './top-model.ts';

export interface Eta {
  readonly seconds: number;
  /** 0 to 1. */
  readonly done: number;
}

export interface Totals {
  readonly steps: number | null;
  readonly epochs: number | null;
}

/** From the metrics, else from a flag of the command as in `--epochs 10`. A progress bar that begins anew with each epoch says nothing about the whole. */
export function totalsOf({ job, training }: Pick<TopView, 'job' | 'training'>): Totals {
  const { last, epoch, step } = training;
  const named = (names: readonly string[]) => names.map((name) => last[name]).find((value) => value !== undefined && value > 0) ?? null;
  const flag = (pattern: RegExp) => {
    const found = pattern.exec(job?.command ?? '')?.[1];
    return found === undefined ? null : Number(found);
  };
  const steps = (epoch === null ? named(stepTotals) : named(stepTotals.slice(0, -1))) ?? flag(/--(?:max|num|total|train)?[-_]?steps[= ](\d{1,12})\b/);
  const epochs = named(epochTotals) ?? flag(/--(?:max|num|total)?[-_]?(?:train[-_])?epochs[= ](\d{1,9})\b/);
  return { steps: steps !== null && (step === null || step <= steps) ? steps : null, epochs: epochs !== null && (epoch ?? 0) <= epochs ? epochs : null };
}

/** null: not known. */
export function etaOf(view: Pick<TopView, 'job' | 'training'>): Eta | null {
  if (view.job === null || view.job.state !== 'running') return null;
  const { step, stepsPerSecond, epoch, secondsPerEpoch } = view.training;
  const { steps, epochs } = totalsOf(view);
  const etaIn = (seconds: number, done: number) => (Number.isFinite(seconds) ? { seconds, done } : null);
  if (steps !== null && step !== null && stepsPerSecond !== null) return etaIn((steps - step) / stepsPerSecond, step / steps);
  if (epochs !== null && epoch !== null && secondsPerEpoch !== null) return etaIn((epochs - epoch) * secondsPerEpoch, epoch / epochs);
  return null;
}
