/** Joins bytes of a log with the times at which they came, which may be known before the bytes or after them. */
import type { LogStream, TimeMark } from '../protocol/log.ts';
import type { LogEvent } from './job-event.ts';

export interface Stamper {
  log(stream: LogStream, offset: number, bytes: Uint8Array): readonly LogEvent[];
  /** In order, as `createMarker` makes them. */
  times(stream: LogStream, marks: readonly TimeMark[]): readonly LogEvent[];
  /** What was held back, with times or without: nothing more is learned about it. */
  rest(): readonly LogEvent[];
}

/** Marks come shortly before their bytes: many more than this are no index of a log, but an attack on our memory. */
const aheadMarks = 500_000;
/** So much is held back at most for times that do not come. */
const heldBytes = 4 * 1024 * 1024;

/**
 * `hold`: bytes wait for their time, and are cut so that each event has one time for all its bytes. Else they are passed on as they
 * come, with the time of the first where it is known.
 */
export function createStamper(hold: boolean): Stamper {
  const streams = { out: createStream('out', hold), err: createStream('err', hold) };
  return {
    log: (stream, offset, bytes) => streams[stream].log(offset, bytes),
    times: (stream, marks) => streams[stream].times(marks),
    rest: () => [...streams.out.take(true), ...streams.err.take(true)],
  };
}

interface Piece {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

function createStream(stream: LogStream, hold: boolean) {
  let marks: TimeMark[] = [];
  let nextMark = 0;
  let held: Piece[] = [];
  let size = 0;

  /** The time of the byte at `offset`, and up to where it holds. */
  const timeOf = (offset: number): TimeMark | null => {
    while (nextMark < marks.length && (marks[nextMark] as TimeMark)[0] <= offset) nextMark += 1;
    if (nextMark > 1_000) {
      marks = marks.slice(nextMark);
      nextMark = 0;
    }
    return marks[nextMark] ?? null;
  };

  /** `all`: also what has no time yet. */
  const take = (all: boolean): LogEvent[] => {
    const events: LogEvent[] = [];
    const left: Piece[] = [];
    for (const piece of held) {
      for (let from = 0; from < piece.bytes.length; ) {
        const offset = piece.offset + from;
        const mark = left.length === 0 ? timeOf(offset) : null;
        if (mark === null && !all && size <= heldBytes) {
          left.push({ offset, bytes: piece.bytes.subarray(from) });
          break;
        }
        const length = mark === null || !hold ? piece.bytes.length - from : Math.min(piece.bytes.length - from, mark[0] - offset);
        events.push({ type: 'log', stream, offset, bytes: piece.bytes.subarray(from, from + length), at: mark?.[1] ?? null });
        size -= length;
        from += length;
      }
    }
    held = left;
    return events;
  };

  return {
    log(offset: number, bytes: Uint8Array): LogEvent[] {
      held.push({ offset, bytes });
      size += bytes.length;
      return take(!hold);
    },
    times(more: readonly TimeMark[]): LogEvent[] {
      for (const mark of more) if (marks.length - nextMark < aheadMarks) marks.push(mark);
      return take(!hold);
    },
    take,
  };
}
