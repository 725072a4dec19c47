/** Finds places in a log, wherever it lies: read backwards or forwards in bounded pieces. Imports its own folder only. */
import type { LogGap } from './log.ts';

export interface LogSource {
  readonly size: number;
  /** Oldest first. Nothing in them is ever read. */
  readonly gaps: readonly LogGap[];
  /** At most `length` bytes from `offset` on; empty at the end. What it returns may be used again at the next call. */
  read(offset: number, length: number): Uint8Array;
}

const pieceBytes = 64 * 1024;
const newline = 0x0a;
const carriageReturn = 0x0d;

/** Where the last `lines` lines begin; when there are fewer, where the log does. The newline that ends the last line begins no new one. */
export function tailStart(source: LogSource, lines: number): number {
  if (lines === 0) return source.size;
  let left = lines;
  for (let end = source.size; end > 0; ) {
    const gap = source.gaps.find(({ from, to }) => end > from && end <= to);
    if (gap !== undefined) {
      end = gap.from;
      continue;
    }
    const start = Math.max(0, end - pieceBytes, ...source.gaps.filter(({ to }) => to < end).map(({ to }) => to));
    const bytes = source.read(start, end - start);
    for (let at = bytes.length - 1; at >= 0; at--) {
      if (bytes[at] === newline && start + at + 1 < source.size && --left === 0) return start + at + 1;
    }
    end = start;
  }
  return 0;
}

/** Where the first whole line begins at or behind `offset`. A progress bar's states are lines here. Without any end of a line nearby: `offset` itself. */
export function lineStart(source: LogSource, offset: number): number {
  const from = afterGap(source, offset);
  if (from === 0 || from !== offset) return from;
  const bytes = source.read(from - 1, pieceBytes);
  const at = bytes.findIndex((byte) => byte === newline || byte === carriageReturn);
  return at < 0 ? from : Math.min(source.size, from + at);
}

function afterGap({ gaps }: LogSource, offset: number): number {
  return gaps.find(({ from, to }) => offset >= from && offset < to)?.to ?? offset;
}
