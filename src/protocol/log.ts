/**
 * What is known of a job's log beside its bytes: which stream they belong to, when they came, and what is gone. Imports nothing.
 *
 * A mark `[offset, ms]` says: at this time the log was so long. Bytes between two marks came between their times, and count as
 * come at the later one. Marks rise in both numbers. As a file: one `offset ms` a line.
 */

/** `err` exists only in a job that keeps its two streams apart; else `out` holds both. */
export type LogStream = 'out' | 'err';

/** Bytes, and milliseconds since the epoch on the machine. */
export type TimeMark = readonly [offset: number, ms: number];

/** Bytes of a log that its machine had to give up, to keep the disk from filling: from `from` up to, not including, `to`. */
export interface LogGap {
  readonly from: number;
  readonly to: number;
}

/** Bytes of a log that a follower has: from `from` up to, not including, `to`, and their CRC-32. */
export interface LogProof {
  readonly from: number;
  readonly to: number;
  readonly crc: number;
}

export function formatMark([offset, ms]: TimeMark): string {
  return `${offset} ${ms}\n`;
}

/** null: no mark, as what a crash leaves of a line. */
export function parseMark(line: string): TimeMark | null {
  const [, offset, ms] = /^(\d{1,15}) (\d{1,15})$/.exec(line) ?? [];
  return offset === undefined ? null : [Number(offset), Number(ms)];
}

const spacingMs = 100;
const marksPerSpacing = 32_768;

/**
 * How far apart marks are, by how many there are: 100 ms for the first 32,768 (an hour of a job that prints all the time), twice as
 * much for as many more, and so on. So an index grows with the logarithm of time: after a week without a pause it has a quarter
 * of a million marks (some 6 MB), the last of them 13 s apart.
 */
export function spacingOf(marks: number): number {
  return spacingMs * 2 ** Math.floor(marks / marksPerSpacing);
}

export interface Marker {
  /** The log was so long at that time. Looks come in order. */
  look(offset: number, ms: number): void;
  /** Nothing more comes for now: what was held back is written. */
  flush(): void;
}

export interface MarkerStart {
  readonly last: TimeMark | null;
  /** How many there are already, about. */
  readonly count: number;
  readonly write: (mark: TimeMark) => void;
}

/** Thins looks out to marks. A look that comes too soon is held back, and written before a pause: what came before it keeps its time. */
export function createMarker(start: MarkerStart): Marker {
  let last: TimeMark = start.last ?? [0, 0];
  let { count } = start;
  let held: TimeMark | null = null;
  const write = (mark: TimeMark) => {
    held = null;
    start.write(mark);
    last = mark;
    count += 1;
  };
  return {
    look(offset, ms) {
      const at = Math.max(ms, last[1], held?.[1] ?? 0); // a clock that was set back must not turn the order round
      const isDue = (since: TimeMark) => at - since[1] >= spacingOf(count);
      const hasGrown = offset > (held ?? last)[0];
      if (held !== null && isDue(last)) write(held); // also right before another: what came until then keeps its time
      if (!hasGrown) return;
      if (isDue(last)) write([offset, at]);
      else held = [offset, at];
    },
    flush: () => held !== null && write(held),
  };
}

/** The whole marks in a text, in order; `rest` is the unfinished last line. Lines that are none, or that go back, are left out. */
export function parseMarks(text: string, after: TimeMark | null): { readonly marks: readonly TimeMark[]; readonly rest: string } {
  const lines = text.split('\n');
  const rest = lines.pop() ?? '';
  const marks: TimeMark[] = [];
  let last = after ?? [0, 0];
  for (const line of lines) {
    const mark = parseMark(line);
    if (mark === null || mark[0] <= last[0]) continue;
    last = [mark[0], Math.max(mark[1], last[1])];
    marks.push(last);
  }
  return { marks, rest };
}

/** Where the first bytes lie that came at `ms` or later, or may have: of what lies behind the last mark nobody knows when it came. */
export function firstSince(marks: Iterable<TimeMark>, ms: number): number {
  let before = 0;
  for (const [offset, at] of marks) {
    if (at >= ms) return before;
    before = offset;
  }
  return before;
}
