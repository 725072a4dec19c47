/** Sizes as people type them: `100GB`, `512MiB`. Inside gpu-run a size is a number of bytes. */
import { GpuRunError } from './errors.ts';

const unitBytes: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
};

const shownUnits = ['B', 'KB', 'MB', 'GB', 'TB'];

/** Whole bytes, more than zero. `GB` is 10^9, `GiB` 2^30; case does not matter. @throws GpuRunError bad-input */
export function parseSize(text: string): number {
  const trimmed = text.trim();
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/i.exec(trimmed);
  const unit = unitBytes[(match?.[2] ?? '').toUpperCase()];
  if (match === null || unit === undefined) throw notASize(trimmed);
  const bytes = Math.round(Number(match[1]) * unit);
  if (bytes === 0) throw new GpuRunError('bad-input', `'${trimmed}' is no space at all.`, { hints: ['Write a size above zero, as in 100GB.'] });
  if (!Number.isSafeInteger(bytes))
    throw new GpuRunError('bad-input', `'${trimmed}' is more than any disk has.`, { hints: ['Write a size as in 100GB or 2TB.'] });
  return bytes;
}

/** For people: `512B`, `1.5GB`; one decimal at most, below ten of a unit. */
export function formatSize(bytes: number): string {
  const whole = Math.max(0, Math.round(bytes));
  let value = whole;
  let unit = 0;
  while (rounded(value) >= 1000 && unit < shownUnits.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${rounded(value)}${shownUnits[unit]}`;
}

function rounded(value: number): number {
  return value < 9.95 ? Math.round(value * 10) / 10 : Math.round(value);
}

function notASize(text: string): GpuRunError {
  const number = /^(\d+(?:\.\d+)?)\s*(g|m|t|k|gi|mi|ti|ki)?$/i.exec(text)?.[1];
  const hint =
    number === undefined
      ? 'Write a number with a unit, as in 100GB, 512MiB or 2TB.'
      : `Write ${number}GB (10^9 bytes) or ${number}GiB (2^30 bytes), if you mean that.`;
  return new GpuRunError('bad-input', number === undefined ? `'${text}' isn't a size.` : `'${text}' has no clear unit.`, { hints: [hint] });
}
