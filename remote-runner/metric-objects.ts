/** Metrics that a job reports as JSON objects, one a line. Those that would only be held back, and replaced by the next, are not even parsed. */
import { openBrace } from './ascii.ts';
import { hasShape, type JsonShape, shapeOf } from './json-shape.ts';
import type { Lines } from './lines.ts';
import type { MetricRecord } from './metric-filter.ts';
import { readJsonLine } from './metric-line.ts';

export interface ObjectOutlet {
  put(record: MetricRecord): void;
  /** Of records like this one only the newest counts now. */
  isFull(record: MetricRecord): boolean;
  /** Something from before the line is to be put first, by `putWaiting`. */
  readonly isWaiting: boolean;
  putWaiting(): void;
}

export interface ObjectReader {
  /** False: the line is no object that measures something. */
  read(lines: Lines, index: number, outlet: ObjectOutlet): boolean;
  /** To be called behind the last line of a portion. */
  end(lines: Lines, outlet: ObjectOutlet): void;
}

/** Shapes of lines that come again and again: of the training, the validation, of each rank. */
const mostShapes = 8;

export function beginsObject({ bytes, start }: Lines, index: number): boolean {
  return bytes[start(index)] === openBrace;
}

interface Known {
  readonly shape: JsonShape;
  /** One that was parsed. */
  readonly example: MetricRecord;
  isFull: boolean;
  /** Of this portion's lines the last one that was not parsed. */
  newest: number | null;
}

export function createObjectReader(source: 'file' | 'json'): ObjectReader {
  let known: readonly Known[] = [];
  /** A file that was begun anew is noticed by its first record. */
  let isFirst = true;

  const parse = (lines: Lines, index: number): MetricRecord | null => {
    const measured = readJsonLine(lines.text(index));
    return measured === null ? null : { type: 'metric', ...measured, source, at: lines.end(index) };
  };
  const tellNewest = (lines: Lines, { put }: ObjectOutlet) => {
    for (const { newest } of known.toSorted((a, b) => (a.newest ?? 0) - (b.newest ?? 0))) {
      const record = newest === null ? null : parse(lines, newest);
      if (record !== null) put(record);
    }
    for (const each of known) each.newest = null;
  };
  const find = ({ bytes, start, stop }: Lines, index: number): Known | undefined => {
    for (const each of known) if (hasShape(each.shape, bytes, start(index), stop(index))) return each;
    return undefined;
  };
  const learn = ({ bytes, start, stop }: Lines, index: number, example: MetricRecord) => {
    if (!Object.values(example.values).every(Number.isFinite)) return;
    const shape = shapeOf(bytes, start(index), stop(index));
    if (shape !== null) known = [{ shape, example, isFull: false, newest: null }, ...known.slice(0, mostShapes - 1)];
  };
  return {
    read(lines, index, outlet) {
      const same = find(lines, index);
      if (same !== undefined && !isFirst && !outlet.isWaiting) {
        same.isFull ||= outlet.isFull(same.example);
        if (same.isFull) {
          same.newest = index;
          return true;
        }
      }
      const record = parse(lines, index);
      if (record === null) return false;
      tellNewest(lines, outlet); // records come in the order of their lines
      outlet.putWaiting();
      outlet.put(record);
      isFirst = false;
      if (same === undefined) learn(lines, index, record);
      return true;
    },
    end(lines, outlet) {
      tellNewest(lines, outlet);
      isFirst = true;
      for (const each of known) each.isFull = false;
    },
  };
}
