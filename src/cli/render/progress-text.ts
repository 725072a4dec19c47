/** How far something is, how fast it goes and how long it takes. */

import type { Phase, Report } from '../../core/reporter.ts';
import { formatSize } from '../../core/size.ts';
import { span } from './text.ts';

type Progress = Extract<Report, { type: 'progress' }>;

/** Before this, a rate is a guess. */
const rateAfterMs = 1_000;

/** Remembers where each phase began. `now`: milliseconds. */
export function createMeter(now: () => number): (progress: Progress) => string {
  const starts = new Map<Phase, { readonly at: number; readonly done: number }>();
  return (progress) => {
    const { phase, done } = progress;
    const known = starts.get(phase);
    const start = known === undefined || done < known.done ? { at: now(), done } : known;
    starts.set(phase, start);
    const elapsedMs = now() - start.at;
    const perSecond = elapsedMs < rateAfterMs ? null : ((done - start.done) * 1000) / elapsedMs;
    return progressText(progress, perSecond);
  };
}

/** `45MB of 120MB, 38%, 12MB/s, 6s left`; what is not known is left out. */
export function progressText({ done, total, unit }: Progress, perSecond: number | null): string {
  const amount = (count: number) => (unit === 'bytes' ? formatSize(count) : unit === 'seconds' ? span(count) : `${count}`);
  const parts = [`${amount(done)}${total === null ? '' : ` of ${amount(total)}`}${unit === 'files' ? ' files' : ''}`];
  if (total !== null && total > 0) parts.push(`${Math.floor((Math.min(done, total) / total) * 100)}%`);
  if (perSecond !== null && perSecond > 0 && unit !== 'seconds') {
    parts.push(unit === 'bytes' ? `${formatSize(perSecond)}/s` : `${Math.round(perSecond)}/s`);
    if (total !== null && total > done) parts.push(`${span(Math.ceil((total - done) / perSecond))} left`);
  }
  return parts.join(', ');
}

/** For progress that comes before its phase has said what it does. */
export const phaseTexts: Readonly<Record<Phase, string>> = {
  offers: 'Looking for a machine',
  launch: 'Starting the machine',
  connect: 'Connecting',
  runner: 'Installing the runner',
  preflight: 'Checking the GPUs',
  sync: 'Sending files',
  fetch: 'Fetching data',
  queue: 'Waiting in the queue',
  setup: 'Running setup',
  run: 'Starting the job',
  outputs: 'Pulling outputs',
  logs: 'Copying logs',
  teardown: 'Ending the machine',
};
