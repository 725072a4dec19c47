/** How far something is, how fast it goes and how long it takes. */

import type { Phase, Report } from '../../core/reporter.ts';
import { formatSize } from '../../core/size.ts';
import { span } from './text.ts';

type Progress = Extract<Report, { type: 'progress' }>;

export interface Rate {
  readonly perSecond: number;
  /** Long enough measured to say from it when it will be over. */
  readonly isSure: boolean;
}

/** `45MB of 120MB, 38%, 12MB/s, 6s left`; what is not known is left out. */
export function progressText({ done, total, unit }: Progress, rate: Rate | null): string {
  const amount = (count: number) => (unit === 'bytes' ? formatSize(count) : unit === 'seconds' ? span(count) : `${count}`);
  const parts = [`${amount(done)}${total === null ? '' : ` of ${amount(total)}`}${unit === 'files' ? ' files' : ''}`];
  if (total !== null && total > 0) parts.push(`${Math.floor((Math.min(done, total) / total) * 100)}%`);
  if (rate !== null && unit !== 'seconds') {
    const { perSecond, isSure } = rate;
    const isOver = total !== null && done >= total;
    if (perSecond > 0 || !isOver) parts.push(unit === 'bytes' ? `${formatSize(perSecond)}/s` : `${Math.round(perSecond)}/s`);
    if (isSure && perSecond > 0 && total !== null && !isOver) parts.push(leftText((total - done) / perSecond));
  }
  return parts.join(', ');
}

/** Nobody needs the seconds of hours, nor believes them. */
function leftText(seconds: number): string {
  if (seconds > 100 * 3600) return 'days left';
  const step = seconds > 3600 ? 60 : seconds > 120 ? 10 : 1;
  return `${span(Math.ceil(seconds / step) * step)} left`;
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
