/** Spans of time as people type them: `90s`, `15m`, `4h`, `2d`, `1h30m`. Inside gpu-run a span is a number of seconds. */
import { GpuRunError } from './errors.ts';

const unitSeconds = { d: 86_400, h: 3_600, m: 60, s: 1 } as const;
const units = Object.entries(unitSeconds);

/** Largest unit first, each at most once, whole numbers. */
const pattern = /^(?:(\d+)d)?\s*(?:(\d+)h)?\s*(?:(\d+)m)?\s*(?:(\d+)s)?$/;

/** Longer spans are typing mistakes: nobody means to rent a machine for more than a year. */
const longestSeconds = 366 * unitSeconds.d;

/** Seconds, more than zero. @throws GpuRunError bad-input */
export function parseDuration(text: string): number {
  const trimmed = text.trim();
  const counts = trimmed === '' ? null : pattern.exec(trimmed);
  if (counts === null) throw notADuration(trimmed);
  const seconds = units.reduce((sum, [, size], index) => sum + Number(counts[index + 1] ?? 0) * size, 0);
  if (seconds === 0) throw noTime(trimmed);
  if (seconds > longestSeconds) throw new GpuRunError('bad-input', `'${trimmed}' is longer than a year.`, { hints: ['Write at most 366d.'] });
  return seconds;
}

/** `1h 30m`, `45s`, `0s`: exact to the second, so that `parseDuration` gives the same number again. */
export function formatDuration(seconds: number): string {
  let rest = Math.max(0, Math.round(seconds));
  const parts = units.flatMap(([unit, size]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return count === 0 ? [] : [`${count}${unit}`];
  });
  return parts.length === 0 ? '0s' : parts.join(' ');
}

function noTime(text: string): GpuRunError {
  return new GpuRunError('bad-input', `'${text}' is no time at all.`, { hints: ['Write a span above zero, as in 15m.'] });
}

function notADuration(text: string): GpuRunError {
  if (/^0+$/.test(text)) return noTime(text);
  if (/^\d+$/.test(text)) {
    return new GpuRunError('bad-input', `'${text}' has no unit.`, {
      hints: [`Write ${text}s, ${text}m, ${text}h or ${text}d for seconds, minutes, hours or days.`],
    });
  }
  return new GpuRunError('bad-input', `'${text}' isn't a span of time.`, {
    hints: ['Write whole numbers with d, h, m or s, largest first, as in 90s, 15m, 4h, 2d or 1h30m.'],
  });
}

/** A moment, milliseconds since the epoch, as ISO 8601 in UTC to the second. */
export function formatMoment(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
