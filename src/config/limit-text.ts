/** Limits as people type them, in the config and on the command line. */
import { parseDuration } from '../core/duration.ts';
import { GpuRunError } from '../core/errors.ts';
import { parseSize } from '../core/size.ts';

/** Seconds; null for `off`. @throws GpuRunError bad-input */
export function parseIdle(text: string): number | null {
  return text.trim() === 'off' ? null : parseDuration(text);
}

/** `5`, `3.00` or `$3.00`. @throws GpuRunError bad-input */
export function parseBudget(text: string): number {
  const amount = /^\$?(\d+(?:\.\d+)?)$/.exec(text.trim())?.[1];
  if (amount !== undefined && Number(amount) >= 0.01) return Number(amount);
  throw new GpuRunError('bad-input', `'${text}' isn't an amount of US dollars.`, { hints: ['Write a number of at least 0.01, as in 5 or 3.50.'] });
}

/** Of less, what is kept of a log would be no more than some lines. */
const leastLogBytes = 1_000_000;

/** Bytes. @throws GpuRunError bad-input */
export function parseLogLimit(text: string): number {
  const bytes = parseSize(text);
  if (bytes >= leastLogBytes) return bytes;
  throw new GpuRunError('bad-input', `'${text}' is too little for a log.`, { hints: ['Write 1MB or more, as in 10GB.'] });
}
