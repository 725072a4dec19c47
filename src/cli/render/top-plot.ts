/** Bars, sparklines and curves of characters: blocks and Braille dots, or plain ASCII where the terminal knows no others. */
import type { Point } from '../../workflows/report-curves.ts';

export interface Glyphs {
  /** Empty to full. */
  readonly levels: readonly string[];
  readonly full: string;
  readonly empty: string;
  readonly rule: string;
  readonly dot: string;
  readonly up: string;
  readonly down: string;
  readonly more: string;
  readonly separator: string;
  readonly degree: string;
  /** Curves are drawn with stars; false: with 2 by 4 dots a character. */
  readonly ascii: boolean;
}

export const unicodeGlyphs: Glyphs = {
  levels: [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
  full: '█',
  empty: '░',
  rule: '─',
  dot: '●',
  up: '↑',
  down: '↓',
  more: '…',
  separator: '·',
  degree: '°C',
  ascii: false,
};

export const asciiGlyphs: Glyphs = {
  levels: [' ', '_', '.', '-', '=', '+', '*', '#', '@'],
  full: '#',
  empty: '.',
  rule: '-',
  dot: '*',
  up: 'out',
  down: 'in',
  more: '~',
  separator: '|',
  degree: 'C',
  ascii: true,
};

/** @param share 0 to 1; null: not known */
export function bar(share: number | null, width: number, { full, empty }: Glyphs): string {
  const filled = Math.round(Math.min(1, Math.max(0, share ?? 0)) * width);
  return full.repeat(filled) + empty.repeat(Math.max(0, width - filled));
}

/** The newest values, to the right; `top`: the value of a full block. What is not known is a gap. */
export function sparkline(values: readonly (number | null)[], width: number, top: number, { levels }: Glyphs): string {
  const shown = width > 0 ? values.slice(-width) : [];
  const blocks = shown.map((value) => {
    if (value === null || !Number.isFinite(value) || top <= 0) return ' ';
    const level = Math.round((Math.min(top, Math.max(0, value)) / top) * (levels.length - 1));
    return levels[Math.max(1, level)] ?? ' ';
  });
  return blocks.join('').padStart(Math.max(0, width));
}

/** `height` lines of `width` characters, from the first x to the last. */
export function plotCurve(points: readonly Point[], width: number, height: number, glyphs: Glyphs): string[] {
  const [across, down] = glyphs.ascii ? [1, 1] : [2, 4];
  const columns = width * across;
  const rows = height * down;
  const lit = new Set<number>();
  const ys = points.map(([, y]) => y);
  const scale = [extreme(ys, Math.min), extreme(ys, Math.max)] as const;
  for (const [from, to, column] of columnRanges(points, columns)) {
    for (let row = rowOf(to, scale, rows); row <= rowOf(from, scale, rows); row++) lit.add(row * columns + column);
  }
  const charAt = (line: number, at: number) => (glyphs.ascii ? (lit.has(line * columns + at) ? '*' : ' ') : brailleChar(lit, columns, line, at));
  return Array.from({ length: height }, (_, line) => Array.from({ length: width }, (__, at) => charAt(line, at)).join(''));
}

function brailleChar(lit: ReadonlySet<number>, columns: number, line: number, at: number): string {
  let bits = 0;
  for (const [x, dots] of brailleBits.entries()) {
    for (const [y, bit] of dots.entries()) if (lit.has((line * 4 + y) * columns + at * 2 + x)) bits |= bit;
  }
  return bits === 0 ? ' ' : String.fromCodePoint(0x2800 + bits);
}

const brailleBits = [
  [0x01, 0x02, 0x04, 0x40],
  [0x08, 0x10, 0x20, 0x80],
] as const;

/** By column the lowest and the highest value, joined to the column before so that the curve has no holes. */
function columnRanges(points: readonly Point[], columns: number): (readonly [low: number, high: number, column: number])[] {
  const xs = points.map(([x]) => x);
  const first = extreme(xs, Math.min);
  const last = extreme(xs, Math.max);
  const ranges: [number, number, number][] = [];
  let before: number | null = null;
  for (const [x, y] of points) {
    const column = last > first ? Math.min(columns - 1, Math.floor(((x - first) / (last - first)) * columns)) : 0;
    const current = ranges.at(-1);
    if (current !== undefined && current[2] === column) {
      current[0] = Math.min(current[0], y);
      current[1] = Math.max(current[1], y);
    } else {
      const gap = current === undefined || before === null ? 0 : column - current[2];
      for (let step = 1; step < gap && current !== undefined && before !== null; step++) {
        const value = before + ((y - before) * step) / gap;
        ranges.push([value, value, current[2] + step]);
      }
      ranges.push([y, y, column]);
    }
    before = y;
  }
  return ranges;
}

function rowOf(value: number, [low, high]: readonly [number, number], rows: number): number {
  const share = high > low ? (value - low) / (high - low) : 0.5;
  return Math.min(rows - 1, Math.max(0, Math.round((1 - share) * (rows - 1))));
}

function extreme(values: readonly number[], pick: (a: number, b: number) => number): number {
  return values.reduce((best, value) => pick(best, value), values[0] ?? 0);
}
