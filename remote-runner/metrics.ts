/** Metrics of one job, from its metrics file and its log, as records with the offset where reading goes on after a restart. */

import type { JournalFacts, NewRecord } from './journal.ts';
import { type Line, openLines } from './lines.ts';
import type { JobFolder } from './machine-folder.ts';
import { createPatternSearch, type Measured, type PatternSearch, readJsonLine } from './metric-line.ts';

export interface MetricReader {
  /** What came since the last call, in bounded portions; null: nothing now. `final`: the job has ended, unfinished lines count. */
  read(final: boolean): readonly NewRecord[] | null;
  close(): void;
}

const openBrace = 0x7b;

export function openMetrics(job: JobFolder, patterns: Readonly<Record<string, string>>, from: JournalFacts): MetricReader {
  const search = Object.keys(patterns).length === 0 ? null : createPatternSearch(patterns);
  const log = openLines(job.log, from.logMetricsAt, (first) => search !== null || first === openBrace);
  const file = openLines(job.metrics, from.fileMetricsAt, (first) => first === openBrace);
  return {
    read(final) {
      const fromFile = file.read(final);
      const fromLog = log.read(final);
      if (fromFile === null && fromLog === null) return null;
      return [...fileRecords(fromFile ?? []), ...logRecords(fromLog ?? [], search)];
    },
    close() {
      log.close();
      file.close();
    },
  };
}

function fileRecords(lines: readonly Line[]): NewRecord[] {
  return lines.flatMap(({ text, end }) => {
    const measured = readJsonLine(text);
    return measured === null ? [] : [{ type: 'metric', ...measured, source: 'file', at: end } satisfies NewRecord];
  });
}

/** One record a line at most: after a restart, reading goes on behind the last line that gave one. */
function logRecords(lines: readonly Line[], search: PatternSearch | null): NewRecord[] {
  const { found, dropped } = search?.search(lines.map(({ text }) => text)) ?? { found: [], dropped: [] };
  const records = lines.flatMap(({ text, end }, index) => {
    const json = readJsonLine(text);
    const measured = merge(json, found[index] ?? null);
    if (measured === null) return [];
    return [{ type: 'metric', ...measured, source: json === null ? 'regex' : 'json', at: end } satisfies NewRecord];
  });
  const notes = dropped.map((name): NewRecord => {
    return {
      type: 'note',
      level: 'warn',
      text: `The pattern of the metric '${name}' took longer than a second for a part of the log; it isn't used any more.`,
    };
  });
  return [...records, ...notes];
}

function merge(json: Measured | null, patterns: Measured | null): Measured | null {
  if (json === null || patterns === null) return json ?? patterns;
  return { values: { ...json.values, ...patterns.values }, step: json.step ?? patterns.step, epoch: json.epoch ?? patterns.epoch };
}
