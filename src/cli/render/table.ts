/** Columns of text. */

import { createStyle, type Style } from './style.ts';
import { cut, harmless } from './text.ts';

export interface Column {
  readonly title: string;
  /** Numbers stand to the right. */
  readonly align?: 'right';
  /** Where the lines are too long, columns with a rank are left out, the lowest first. Absent: it stays. */
  readonly spare?: number;
}

const gap = '  ';

/** No line is longer than `width`: first spare columns are left out, then the last one gives way. Cells may hold anything; it is made harmless here. */
export function renderTable(columns: readonly Column[], rows: readonly (readonly string[])[], style: Style, width = Number.POSITIVE_INFINITY): string {
  const cells = rows.map((row) => row.map(harmless));
  const widths = columns.map(({ title }, index) => Math.max(title.length, ...cells.map((row) => lengthOf(row[index] ?? ''))));
  const least = Math.min(...columns.map(({ spare }) => spare ?? Number.POSITIVE_INFINITY));
  const whole = widths.reduce((sum, each) => sum + each, 0) + gap.length * (columns.length - 1);
  if (whole > width && Number.isFinite(least)) {
    const left = columns.flatMap(({ spare }, index) => (spare === least ? [] : [index]));
    const rest = (row: readonly string[]) => left.map((index) => row[index] ?? '');
    return renderTable(
      columns.filter(({ spare }) => spare !== least),
      rows.map(rest),
      style,
      width,
    );
  }
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

/** So much of a text has to be seen to be recognised. */
const leastSeen = 32;
const belowIndent = '    ';

/** With a last column of long texts: where the lines leave too little room for it, each text stands below its row, cut off at the line's end. */
export function renderWithLast(
  columns: readonly Column[],
  last: { readonly title: string; readonly texts: readonly string[] },
  rows: readonly (readonly string[])[],
  style: Style,
  width = Number.POSITIVE_INFINITY,
): string {
  const texts = last.texts.map(harmless);
  const [head = '', ...lines] = renderTable(columns, rows, createStyle(false)).split('\n');
  const room = width - Math.max(...[head, ...lines].map(lengthOf)) - gap.length;
  if (room >= leastSeen || texts.every((text) => lengthOf(text) <= room)) {
    const whole = rows.map((row, index) => [...row, texts[index] ?? '']);
    return renderTable([...columns, { title: last.title }], whole, style, width);
  }
  const [cutHead = '', ...cutLines] = renderTable(columns, rows, style, width).split('\n');
  return [cutHead, ...cutLines.flatMap((line, index) => [line, cut(`${belowIndent}${texts[index] ?? ''}`, width)])].join('\n');
}

function pad(text: string, width: number, align: Column['align']): string {
  const space = ' '.repeat(width - lengthOf(text));
  return align === 'right' ? space + text : text + space;
}

function lengthOf(text: string): number {
  return [...text].length;
}
