/** Metrics of one job, from its metrics file and its log, as records with the offset where reading goes on after a restart. */
import type { MetricSource } from '../src/protocol/job.ts';
import { createFrameworkReader, type FrameworkReader } from './framework-lines.ts';
import type { NewRecord } from './journal.ts';
import { everyLine, objectLines, tellingLines } from './line-choice.ts';
import { type Line, openLines } from './lines.ts';
import type { JobFolder } from './machine-folder.ts';
import { type Budget, createBudget } from './metric-budget.ts';
import { createMetricFilter, type MetricPlace, type MetricRecord } from './metric-filter.ts';
import { createMetricLanes } from './metric-lanes.ts';
import { createPatternSearch, type Measured, type PatternSearch, readJsonLine } from './metric-line.ts';

export interface MetricReader {
  /** What came since the last call, in bounded portions; null: nothing now. `final`: the job has ended, unfinished lines count. */
  read(final: boolean): readonly NewRecord[] | null;
  /** Up to where all of the log has been read and told; null: something of it is still held back. */
  readonly logAt: number | null;
  /** What to tell of patterns that have given nothing. `isDone`: the job has done its work, and what was never found never will be. */
  silent(isDone: boolean): readonly string[];
  /** There is more at once, most likely. */
  readonly isBehind: boolean;
  close(): void;
}

/** Something measured in the log. */
interface Found extends Measured {
  readonly source: Exclude<MetricSource, 'file'>;
  readonly at: number;
}

export function openMetrics(job: JobFolder, patterns: Readonly<Record<string, string>>, from: MetricPlace, now: () => number = Date.now): MetricReader {
  const search = Object.keys(patterns).length === 0 ? null : createPatternSearch(patterns);
  const log = openLines(job.log, from.logMetricsAt, search === null ? tellingLines : everyLine);
  const file = openLines(job.metrics, from.fileMetricsAt, objectLines);
  const frameworks = createFrameworkReader(from.logPlace);
  const earlier = createBudget(earlierAtOnce, earlierPerSecond);
  const filter = createMetricFilter();
  const lanes = createMetricLanes(from);
  return {
    read(final) {
      const fromFile = file.read(final);
      const fromLog = log.read(final);
      const { found, notes } = findInLog(fromLog ?? [], { search, frameworks, earlier }, now());
      const held = frameworks.due(now(), final && fromLog === null ? 'all' : 'due').map(toFound);
      const records = [...fileRecords(fromFile ?? []), ...[...found, ...held].map(logRecord)];
      const due = lanes.due(now(), final && fromLog === null && fromFile === null ? 'all' : 'due');
      if (fromFile === null && fromLog === null && held.length === 0 && due.length === 0) return null;
      return [...due, ...lanes.add(filter(records), now()), ...notes];
    },
    get logAt() {
      return frameworks.isHolding || lanes.isHolding ? null : log.at;
    },
    silent(isDone) {
      if (search === null || from.logMetricsAt > 0) return []; // what a runner before us has found is not known
      return search.silent().flatMap(({ name, shown }) => {
        if (shown !== null) return [`The pattern of the metric '${name}' found '${shown}', and never a number: there are no values of it.`];
        return isDone ? [`The pattern of the metric '${name}' was never found in the log: there are no values of it.`] : [];
      });
    },
    get isBehind() {
      return file.isBehind || log.isBehind;
    },
    close() {
      log.close();
      file.close();
    },
  };
}

function logRecord({ values, step, epoch, source, at }: Found): MetricRecord {
  return { type: 'metric', values, step, epoch, source, at };
}

function fileRecords(lines: readonly Line[]): MetricRecord[] {
  return lines.flatMap(({ text, end }) => {
    const measured = readJsonLine(text);
    return measured === null ? [] : [{ type: 'metric', ...measured, source: 'file', at: end } satisfies NewRecord];
  });
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

interface LogReaders {
  readonly search: PatternSearch | null;
  readonly frameworks: FrameworkReader;
  /** For lines before the last ones of a portion. */
  readonly earlier: Budget;
}

/** What the user's JSON and patterns say about a line goes before what a framework's reader makes of it. */
function findInLog(lines: readonly Line[], { search, frameworks, earlier }: LogReaders, now: number): { found: Found[]; notes: NewRecord[] } {
  const { found, dropped } = search?.search(lines.map(({ text }) => text)) ?? { found: [], dropped: [] };
  const first = search === null ? lines.length - lastFrameworkLines : 0; // with patterns, all kinds of lines are here
  const isRedrawn = (index: number) => redrawn.test(lines[index]?.text ?? '');
  const isSkipped = (index: number) => index < first && ((isRedrawn(index) && isRedrawn(index + 1)) || !earlier.take(now));
  const metrics = lines.flatMap(({ text, end }, index): Found[] => {
    const json = readJsonLine(text);
    const measured = merge(json, found[index] ?? null);
    if (measured === null) return isSkipped(index) ? [] : frameworks.read(text, end, now).map(toFound);
    const held = frameworks.due(now, 'complete').map(toFound); // lies before this line, and reading may go on behind it
    return [...held, { ...measured, source: json === null ? 'regex' : 'json', at: end }];
  });
  const notes = dropped.map((name): NewRecord => {
    return {
      type: 'note',
      level: 'warn',
      text: `The pattern of the metric '${name}' took longer than a second for a part of the log; it isn't used any more.`,
    };
  });
  return { found: metrics, notes };
}

function toFound({ sighting, at }: ReturnType<FrameworkReader['due']>[number]): Found {
  const { values, step, epoch, source } = sighting;
  return { values, step, epoch, source, at };
}

function merge(json: Measured | null, patterns: Measured | null): Measured | null {
  if (json === null || patterns === null) return json ?? patterns;
  return { values: { ...json.values, ...patterns.values }, step: json.step ?? patterns.step, epoch: json.epoch ?? patterns.epoch };
}
