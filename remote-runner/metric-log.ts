/** Metrics in a job's log, line by line: the user's own, as JSON or by patterns, and what frameworks print. */
import { type FrameworkReader, longestRead } from './framework-lines.ts';
import { createIndexList, type IndexList } from './index-list.ts';
import type { NewRecord } from './journal.ts';
import type { Lines } from './lines.ts';
import { type Budget, createBudget, type MetricLimits } from './metric-budget.ts';
import type { MetricRecord } from './metric-filter.ts';
import { type Measured, type PatternSearch, readJsonLine } from './metric-line.ts';
import { beginsObject, createObjectReader, type ObjectOutlet } from './metric-objects.ts';
import type { Seen } from './metric-pace.ts';
import { isRedrawnBar, isSurelyPairs, mayBeginObject } from './plain-line.ts';
import { isTelling } from './telling-line.ts';

export interface LogReader {
  /** Puts the records of a portion. Returns what is to be noted besides. */
  read(lines: Lines, outlet: Pick<ObjectOutlet, 'put' | 'isFull'>, now: number): readonly NewRecord[];
}

/**
 * `search`: by the user's patterns; what they and JSON say about a line goes before what a framework's reader makes of it.
 *
 * Of a portion's lines the last ones are read as a framework's, and of those before them so many at once and so many a second, each but
 * the newest state of a bar: a job that prints progress without end is not to keep us busy longer than it runs, and who reads what has
 * come since a restart misses nothing. Of lines that would only be held back, and replaced, the newest alone is read.
 */
export function createLogReader(frameworks: FrameworkReader, search: PatternSearch | null, { lastLines, earlierLines }: MetricLimits): LogReader {
  const earlier = createBudget(earlierLines);
  const objects = createObjectReader('json');
  const last = createIndexList();
  const waiting = createIndexList();
  return {
    read(lines, { put, isFull }, now) {
      const first = search === null ? findLast(last, lines, lastLines) : findAll(last, lines);
      const inWords = readWords(frameworks, lines, waiting, put, now);
      const outlet: ObjectOutlet = {
        put,
        isFull,
        get isWaiting() {
          return frameworks.isEnding;
        },
        putWaiting: inWords.putComplete,
      };
      const isObject = (index: number) => mayBeObject(lines, index, search !== null) && objects.read(lines, index, outlet);
      for (let index = 0; index < first; index++) if (!isObject(index) && isTakenEarlier(lines, index, earlier, now)) inWords.read(index);
      const { found, dropped } = search?.search(Array.from({ length: last.length }, (_, nth) => lines.text(last.at(last.length - 1 - nth)))) ?? noneFound;
      for (let nth = last.length - 1; nth >= 0; nth--) {
        const index = last.at(nth);
        const byPatterns = found[last.length - 1 - nth] ?? null;
        if (byPatterns !== null) {
          objects.end(lines, outlet);
          inWords.putComplete();
          put({ type: 'metric', ...withObject(lines.text(index), byPatterns), at: lines.end(index) });
        } else if (!isObject(index)) inWords.read(index);
      }
      objects.end(lines, outlet);
      inWords.end();
      return dropped.map(noteOnDropped);
    },
  };
}

/** Reads lines of a portion in the words of frameworks. `waiting`: for lines of which only the newest that says something counts. */
function readWords(frameworks: FrameworkReader, lines: Lines, waiting: IndexList, put: ObjectOutlet['put'], now: number) {
  waiting.clear();
  return {
    read(index: number) {
      if (frameworks.isFull(now) && !frameworks.isEnding && isPairsLine(lines, index)) waiting.push(index);
      else for (const seen of frameworks.read(lines.text(index), lines.end(index), now)) put(recordOf(seen));
    },
    /** What lies before the next line, as reading may go on behind that. */
    putComplete() {
      for (const seen of frameworks.due(now, 'complete')) put(recordOf(seen));
    },
    end() {
      for (let nth = waiting.length - 1; nth >= 0; nth--) {
        const index = waiting.at(nth);
        if (frameworks.hold(lines.text(index), lines.end(index))) return;
      }
    },
  };
}

/** Whether a line before the last ones is read. */
function isTakenEarlier(lines: Lines, index: number, earlier: Budget, now: number): boolean {
  if (!earlier.has(now) || !isTellingLine(lines, index)) return false;
  return !(isRedrawn(lines, index) && isRedrawn(lines, nextTelling(lines, index))) && earlier.take(now);
}

const noneFound: ReturnType<PatternSearch['search']> = { found: [], dropped: [] };

/**
 * The last so many lines that may tell something, the very last first, are looked at closely. Returns the line before which only some
 * are.
 */
function findLast(last: IndexList, lines: Lines, most: number): number {
  last.clear();
  for (let index = lines.count - 1; index >= 0 && last.length < most; index--) if (isTellingLine(lines, index)) last.push(index);
  return last.length === most ? last.at(most - 1) : 0;
}

/** What a user's pattern finds may be anywhere. */
function findAll(last: IndexList, lines: Lines): number {
  last.clear();
  for (let index = lines.count - 1; index >= 0; index--) last.push(index);
  return 0;
}

function nextTelling(lines: Lines, index: number): number {
  let next = index + 1;
  while (next < lines.count && !isTellingLine(lines, next)) next += 1;
  return next;
}

function isRedrawn(lines: Lines, index: number): boolean {
  return index < lines.count && isRedrawnBar(lines.bytes, lines.start(index), lines.stop(index));
}

function isTellingLine({ bytes, start, stop }: Lines, index: number): boolean {
  return isTelling(bytes, start(index), stop(index));
}

/** `inFull`: whoever has patterns of their own has all objects read, also those that stand behind blanks and don't tell where the training is. */
function mayBeObject(lines: Lines, index: number, inFull: boolean): boolean {
  if (beginsObject(lines, index)) return true;
  return mayBeginObject(lines.bytes, lines.start(index), lines.stop(index)) && (inFull || isTellingLine(lines, index));
}

function isPairsLine({ bytes, start, stop }: Lines, index: number): boolean {
  return stop(index) - start(index) <= longestRead && isSurelyPairs(bytes, start(index), stop(index));
}

export function recordOf({ sighting: { values, step, epoch, source }, at }: Seen): MetricRecord {
  return { type: 'metric', values, step, epoch, source, at };
}

function noteOnDropped(name: string): NewRecord {
  const text = `The pattern of the metric '${name}' took longer than a second for a part of the log; it isn't used any more.`;
  return { type: 'note', level: 'warn', text };
}

function withObject(text: string, patterns: Measured): Measured & Pick<MetricRecord, 'source'> {
  const json = readJsonLine(text);
  if (json === null) return { ...patterns, source: 'regex' };
  const values = { ...json.values, ...patterns.values };
  return { values, step: json.step ?? patterns.step, epoch: json.epoch ?? patterns.epoch, source: 'json' };
}
