/** Results as Markdown tables. */
import { printRows } from '../print-table.ts';
import type { Row } from './judge.ts';
import type { Wanted } from './workloads.ts';

const blank = '';

export function printWorkload(title: string, rows: readonly Row[]): void {
  const hasLine = rows.some(({ ofLine }) => ofLine !== null);
  const head = [
    blank,
    'median s',
    'min s',
    'to the best rsync',
    'to the best of its kind',
    'wanted',
    'wire MB',
    'CPU s, near + far',
    ...(hasLine ? ['of the line'] : []),
  ];
  printRows(
    title,
    head,
    rows.map((row) => [
      row.name,
      row.median.toFixed(3),
      row.min.toFixed(3),
      times(row.toRsync),
      times(row.toItsLike),
      wantedWords(row),
      row.wireBytes === null ? blank : (row.wireBytes / 1e6).toFixed(row.wireBytes < 1e6 ? 4 : 1),
      row.nearMs === null || row.farMs === null ? blank : `${(row.nearMs / 1000).toFixed(2)} + ${(row.farMs / 1000).toFixed(2)}`,
      ...(hasLine ? [percent(row.ofLine)] : []),
    ]),
  );
}

export interface Result {
  readonly workload: string;
  readonly link: string;
  readonly rows: readonly Row[];
}

/** One row for each thing that is wanted. */
export function printSummary(results: readonly Result[]): void {
  const rows = results.flatMap(({ workload, link, rows: all }) =>
    all.flatMap((row) =>
      row.wanted === null
        ? []
        : [[workload, link, row.name, row.median.toFixed(3), 'line' in row.wanted ? percent(row.ofLine) : times(row.toItsLike), wantedWords(row)]],
    ),
  );
  printRows('What is wanted', ['workload', 'link', blank, 'median s', 'result', 'wanted'], rows);
}

function wantedWords({ wanted, isReached }: Row): string {
  if (wanted === null) return blank;
  return `${goalWords(wanted)}: ${isReached === null ? 'not known' : isReached ? 'reached' : '**not reached**'}`;
}

function goalWords(wanted: Wanted): string {
  return 'ratio' in wanted ? `<= ${wanted.ratio}` : `>= ${percent(wanted.line)} of the line`;
}

function times(ratio: number | null): string {
  return ratio === null ? blank : `${ratio.toFixed(ratio < 0.1 ? 3 : 2)}x`;
}

function percent(part: number | null): string {
  return part === null ? blank : `${(part * 100).toFixed(0)} %`;
}
