/** Bytes of a log on their way to where people read them: progress bars folded, lines with their times. Without either: unchanged. */

import { dateOf } from './text.ts';

/** Bytes with one time, milliseconds since the epoch; null: not known. */
export interface Timed {
  readonly bytes: Uint8Array;
  readonly at: number | null;
}

export interface LineFilter {
  push(piece: Timed): readonly Timed[];
  /** What was held back. */
  rest(): readonly Timed[];
}

const newline = 0x0a;
const carriageReturn = 0x0d;

/** Puts before each line, and before each state of a progress bar, when its first byte came: `2026-11-21T12:00:00.000Z `. */
export function createClockColumn(): LineFilter {
  let after: 'newline' | 'return' | 'text' = 'newline';
  return {
    push({ bytes, at }) {
      const clock = Buffer.from(`${at === null ? '-'.padEnd(24) : dateOf(at).toISOString()} `);
      const parts: Uint8Array[] = [];
      let from = 0;
      for (let index = 0; index < bytes.length; index++) {
        const byte = bytes[index];
        const begins = byte !== carriageReturn && (after === 'newline' || (after === 'return' && byte !== newline));
        if (begins) {
          parts.push(bytes.subarray(from, index), clock);
          from = index;
        }
        if (byte === newline) after = 'newline';
        else if (byte !== carriageReturn) after = 'text';
        else if (after === 'text') after = 'return';
      }
      return [{ bytes: Buffer.concat([...parts, bytes.subarray(from)]), at }];
    },
    rest: () => [],
  };
}

/** One behind the other. */
export function chain(filters: readonly LineFilter[]): LineFilter {
  const through = (pieces: readonly Timed[], from: number) =>
    filters.slice(from).reduce<readonly Timed[]>((before, filter) => before.flatMap((piece) => filter.push(piece)), pieces);
  return {
    push: (piece) => through([piece], 0),
    rest: () => filters.flatMap((filter, index) => through(filter.rest(), index + 1)),
  };
}
