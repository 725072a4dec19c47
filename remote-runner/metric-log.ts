/** Metrics in a job's log, line by line: the user's own, as JSON or by patterns, and what frameworks print. */
import { type FrameworkReader, longestRead } from './framework-lines.ts';
import type { NewRecord } from './journal.ts';
import type { Lines } from './lines.ts';
import { createBudget } from './metric-budget.ts';
import type { MetricRecord } from './metric-filter.ts';
import { type Measured, type PatternSearch, readJsonLine } from './metric-line.ts';
import { createObjectReader, type ObjectOutlet } from './metric-objects.ts';
import type { Seen } from './metric-pace.ts';
import { isSurelyPairs, mayBeObject } from './plain-line.ts';

export interface LogReader {
  /** Puts the records of a portion. Returns what is to be noted besides. */
  read(lines: Lines, outlet: Pick<ObjectOutlet, 'put' | 'isFull'>, now: number): readonly NewRecord[];
}

/**
 * Of a portion's lines the last ones are read as a framework's, and of those before them so many at once and so many a second, each but
 * the newest state of a bar: a job that prints progress without end is not to keep us busy longer than it runs, and who reads what has
 * come since a restart misses nothing.
 */
const lastFrameworkLines = 2_000;
const earlierAtOnce = 20_000;
const earlierPerSecond = 1_000;
/** A state of a progress bar, which the next one replaces. */
const redrawn = /%\||(?:it\/s|s\/it)|^\s*\d+\/\d+\s/;

/** `search`: by the user's patterns; what they and JSON say about a line goes before what a framework's reader makes of it. */
export function createLogReader(frameworks: FrameworkReader, search: PatternSearch | null): LogReader {
  const earlier = createBudget(earlierAtOnce, earlierPerSecond);
  const objects = createObjectReader('json');
  return {
    read(lines, { put, isFull }, now) {
      const first = search === null ? lines.count - lastFrameworkLines : 0; // with patterns, all kinds of lines are here
      const isRedrawn = (index: number) => index < lines.count && redrawn.test(lines.text(index));
      const isSkipped = (index: number) => index < first && (!earlier.has(now) || (isRedrawn(index) && isRedrawn(index + 1)) || !earlier.take(now));
      const waiting: number[] = [];
      const readAsFramework = (index: number) => {
        if (isSkipped(index)) return;
        if (frameworks.isFull(now) && !frameworks.isEnding && isPairsLine(lines, index)) waiting.push(index);
        else for (const seen of frameworks.read(lines.text(index), lines.end(index), now)) put(recordOf(seen));
      };
      const putComplete = () => {
        for (const seen of frameworks.due(now, 'complete')) put(recordOf(seen)); // lies before the line, and reading may go on behind it
      };
      const outlet: ObjectOutlet = {
        put,
        isFull,
        get isWaiting() {
          return frameworks.isEnding;
        },
        putWaiting: putComplete,
      };
      const isObject = (index: number) =>
        mayBeObject(lines.bytes, lines.start(index), lines.stop(index)) && objects.read(lines, index, outlet);

      const { found, dropped } = search === null ? noneFound : search.search(Array.from({ length: lines.count }, (_, index) => lines.text(index)));
      for (let index = 0; index < lines.count; index++) {
        const byPatterns = found[index] ?? null;
        if (byPatterns === null) {
          if (!isObject(index)) readAsFramework(index);
          continue;
        }
        const json = readJsonLine(lines.text(index));
        objects.end(lines, outlet);
        putComplete();
        put({ type: 'metric', ...merge(json, byPatterns), source: json === null ? 'regex' : 'json', at: lines.end(index) });
      }
      objects.end(lines, outlet);
      while (waiting.length > 0) {
        const newest = waiting.pop() as number;
        if (frameworks.hold(lines.text(newest), lines.end(newest))) break;
      }
      return dropped.map(noteOnDropped);
    },
  };
}

const noneFound: ReturnType<PatternSearch['search']> = { found: [], dropped: [] };

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

function merge(json: Measured | null, patterns: Measured): Measured {
  if (json === null) return patterns;
  return { values: { ...json.values, ...patterns.values }, step: json.step ?? patterns.step, epoch: json.epoch ?? patterns.epoch };
}
