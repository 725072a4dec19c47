/** Yes or no, as a variable of the environment says it. */
import { GpuRunError } from '../core/errors.ts';

/** @throws GpuRunError bad-input */
export function parseSwitch(value: boolean | string): boolean {
  if (typeof value === 'boolean') return value;
  const word = value.trim().toLowerCase();
  if (['1', 'true', 'y', 'yes', 'on'].includes(word)) return true;
  if (['0', 'false', 'n', 'no', 'off'].includes(word)) return false;
  throw new GpuRunError('bad-input', `'${value}' is neither yes nor no.`, { hints: ['Write true or false.'] });
}
