/** The result of a comparison as a Markdown table, so that it can be pasted into `docs/benchmarks.md`. */
import type { Row } from './measure.ts';

export function printTable(title: string, rows: readonly Row[]): void {
  const cells = rows.map(({ name, minMs, medianMs, cpuMs, ratio }) => [
    name,
    minMs.toFixed(1),
    medianMs.toFixed(1),
    cpuMs === null ? '' : cpuMs.toFixed(1),
    `${ratio.toFixed(2)}x`,
  ]);
  printRows(title, ['', 'min ms', 'median ms', 'CPU ms', 'ratio of min'], cells);
}

export function printRows(title: string, head: readonly string[], rows: readonly (readonly string[])[]): void {
  console.log(`\n${title}\n`);
  for (const line of [head, head.map(() => '---'), ...rows]) console.log(`| ${line.join(' | ')} |`);
}
