/**
 * What to do about what the figures show: each piece of advice with its evidence, and none without. The thresholds for low use are those of
 * Princeton's jobstats (15 and 25 per cent of utilisation); a GPU idles below 5.
 */
import { gpuAdvice } from './report-advice-gpu.ts';
import { runAdvice } from './report-advice-run.ts';
import type { Advice, Evidence } from './report-figures.ts';

/** Less tells of the start of a program and not of its work. */
export const leastWatchedSeconds = 60;

/** What matters most first. */
export function adviceFor(facts: Evidence): Advice[] {
  const isLongEnough = facts.times.watched >= leastWatchedSeconds;
  const all = [...gpuAdvice(facts, isLongEnough), ...runAdvice(facts, isLongEnough)];
  return [...all.filter(({ level }) => level === 'warn'), ...all.filter(({ level }) => level === 'info')];
}

/** What the report would like to say and can't. */
export function unknownOf({ machine, gpus, host, times, training }: Evidence): string[] {
  const unknown: string[] = [];
  if (times.run === 0) return ['the command has not run: there is nothing to judge'];
  if (host === null) unknown.push('GPUs and host were not watched: nothing is known of their use');
  else if (gpus.length === 0) unknown.push(machine.offer.gpu === null ? 'the machine has no GPU' : 'the GPUs could not be read: nothing is known of their use');
  else if (gpus.every(({ utilizationMean }) => utilizationMean === null)) unknown.push('the driver does not tell how busy the GPUs were');
  if (host !== null && times.watched < leastWatchedSeconds) {
    unknown.push(`it was watched for ${Math.round(times.watched)} s: too short to advise on its speed (that takes ${leastWatchedSeconds} s)`);
  }
  if (training.records === 0) unknown.push('it wrote no metrics, so that steps a second and the cost of an epoch are not known (docs/metrics.md)');
  else if (training.stepsPerSecond === null && training.secondsPerEpoch === null)
    unknown.push('its metrics name no step or epoch that grows, or came all at once');
  return unknown;
}
