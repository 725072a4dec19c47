/** Columns of text. */

import type { Style } from './style.ts';
import { cut, harmless } from './text.ts';

export interface Column {
  readonly title: string;
  /** Numbers stand to the right. */
  readonly align?: 'right';
}

const gap = '  ';

/** No line is longer than `width`: the last column gives way. Cells may hold anything; it is made harmless here. */
export function renderTable(columns: readonly Column[], rows: readonly (readonly string[])[], style: Style, width = Number.POSITIVE_INFINITY): string {
  const cells = rows.map((row) => row.map(harmless));
  const widths = columns.map(({ title }, index) => Math.max(title.length, ...cells.map((row) => lengthOf(row[index] ?? ''))));
  const line = (row: readonly string[]) =>
    cut(
      columns
        .map(({ align }, index) => pad(row[index] ?? '', widths[index] ?? 0, align))
        .join(gap)
        .trimEnd(),
      width,
    );
  return [style.dim(line(columns.map(({ title }) => title))), ...cells.map(line)].join('\n');
}

function pad(text: string, width: number, align: Column['align']): string {
  const space = ' '.repeat(width - lengthOf(text));
  return align === 'right' ? space + text : text + space;
}

function lengthOf(text: string): number {
  return [...text].length;
}
