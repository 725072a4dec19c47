/** Metrics of one job, from its metrics file and its log, as records with the offset where reading goes on after a restart. */
import { createFrameworkReader } from './framework-lines.ts';
import type { NewRecord } from './journal.ts';
import { type Lines, openLines } from './lines.ts';
import type { JobFolder } from './machine-folder.ts';
import { type MetricLimits, metricLimits } from './metric-budget.ts';
import { createMetricFilter, type MetricPlace, type MetricRecord } from './metric-filter.ts';
import { createMetricLanes } from './metric-lanes.ts';
import { createPatternSearch } from './metric-line.ts';
import { createLogReader, recordOf } from './metric-log.ts';
import { beginsObject, createObjectReader, type ObjectOutlet, type ObjectReader } from './metric-objects.ts';

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

export function openMetrics(
  job: JobFolder,
  patterns: Readonly<Record<string, string>>,
  from: MetricPlace,
  now: () => number = Date.now,
  limits: MetricLimits = metricLimits,
): MetricReader {
  const search = Object.keys(patterns).length === 0 ? null : createPatternSearch(patterns);
  const log = openLines(job.log, from.logMetricsAt);
  const file = openLines(job.metrics, from.fileMetricsAt);
  const objects = createObjectReader('file');
  const frameworks = createFrameworkReader(from.logPlace, limits);
  const logReader = createLogReader(frameworks, search, limits);
  const filter = createMetricFilter();
  const lanes = createMetricLanes(from, limits);
  return {
    read(final) {
      const at = now();
      const fromFile = file.read(final);
      const fromLog = log.read(final);
      const isEnd = final && fromLog === null;
      const records = [...lanes.due(at, isEnd && fromFile === null ? 'all' : 'due')];
      const put = (record: MetricRecord) => {
        for (const told of lanes.add(filter([record]), at)) records.push(told);
      };
      const isFull = (record: MetricRecord) => lanes.isFull(record, at);
      if (fromFile !== null) readObjects(objects, fromFile, { put, isFull, isWaiting: false, putWaiting() {} });
      const notes = fromLog === null ? [] : logReader.read(fromLog, { put, isFull }, at);
      const held = frameworks.due(at, isEnd ? 'all' : 'due');
      for (const each of held) put(recordOf(each));
      if (fromFile === null && fromLog === null && held.length === 0 && records.length === 0) return null;
      return [...records, ...notes];
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

function readObjects(objects: ObjectReader, lines: Lines, outlet: ObjectOutlet): void {
  for (let index = 0; index < lines.count; index++) if (beginsObject(lines, index)) objects.read(lines, index, outlet);
  objects.end(lines, outlet);
}
