/** Numbers as they stand in flags. */
import { parseDuration } from '../core/duration.ts';
import { GpuRunError } from '../core/errors.ts';

/** @throws GpuRunError bad-input */
export function parseCount(text: string, flag: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new GpuRunError('bad-input', `'${text}' can't be the value of ${flag}: it takes a whole number.`, { hints: [`As in: ${flag} 20`] });
}

/** A byte offset, also negative. @throws GpuRunError bad-input */
export function parseOffset(text: string): number {
  if (/^-?\d{1,15}$/.test(text)) return Number(text);
  throw new GpuRunError('bad-input', `'${text}' can't be the value of --after: it takes a number of bytes.`, {
    hints: ['As in: --after 4096, or --after=-4096 for the last 4096 bytes'],
  });
}

/** `8888`: the same port here and there. `8888:6006`: 8888 here, 6006 on the machine. `0:6006`: any free port here. @throws GpuRunError bad-input */
export function parsePort(text: string): { readonly local: number; readonly host: string; readonly remote: number } {
  const match = /^(\d{1,5})(?::(\d{1,5}))?$/.exec(text);
  const local = Number(match?.[1]);
  const remote = Number(match?.[2] ?? match?.[1]);
  if (match !== null && local <= 65_535 && remote >= 1 && remote <= 65_535) return { local, host: '127.0.0.1', remote };
  throw new GpuRunError('bad-input', `'${text}' isn't a port.`, { hints: ['Write a number from 1 to 65535, as in 8888, or LOCAL:REMOTE, as in 8888:6006.'] });
}

/** A day, a moment or a span back from `now`. `flag`: for the message. @returns milliseconds since the epoch. @throws GpuRunError bad-input */
export function parseSince(text: string, now: number, flag = '--since'): number {
  if (/^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2})?)?$/.test(text)) {
    const at = Date.parse(text);
    if (!Number.isNaN(at)) return at;
  } else if (/^[\dhmsd ]+$/.test(text)) return now - parseDuration(text) * 1000;
  throw new GpuRunError('bad-input', `'${text}' can't be the value of ${flag}: it takes a moment or a span of time.`, {
    hints: ['Write a day or a moment, as in 2026-11-01 or 2026-11-01T15:30:00Z (UTC), or a span back from now, as in 7d or 10m.'],
  });
}

/** Like `parseSince`, but a day counts to its end. @returns milliseconds since the epoch, not itself counted. @throws GpuRunError bad-input */
export function parseUntil(text: string, now: number): number {
  return parseSince(text, now, '--until') + (/^\d{4}-\d{2}-\d{2}$/.test(text) ? 86_400_000 : 0);
}
