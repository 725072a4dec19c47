/** Lines of a full screen: pieces with a colour each, cut and padded by the room that they take on a terminal. */
import { harmless } from './text.ts';

type Painter = (text: string) => string;

/** Text without control characters, and how it is painted. */
export type Piece = readonly [text: string, paint?: Painter | undefined];
export type Line = readonly Piece[];

const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
const none = /[\p{Mn}\p{Me}\p{Cf}]/u;
const plain = /^[\x20-\x7e]*$/;

/** From elsewhere. */
export function piece(text: string, paint?: Painter): Piece {
  return [harmless(text), paint];
}

/** Columns that a text takes: two for characters of East Asia and pictures, none for marks that join the one before. */
export function columnsOf(text: string): number {
  if (plain.test(text)) return text.length;
  let columns = 0;
  for (const char of text) columns += widthOf(char);
  return columns;
}

function widthOf(char: string): number {
  return none.test(char) ? 0 : wide.test(char) ? 2 : 1;
}

export function lineColumns(line: Line): number {
  return line.reduce((sum, [text]) => sum + columnsOf(text), 0);
}

/** At most so many columns; `pad`: exactly so many. */
export function fitLine(line: Line, width: number, pad = false): Line {
  const fitted: Piece[] = [];
  let left = width;
  for (const [text, paint] of line) {
    const shown = cutColumns(text, left);
    left -= columnsOf(shown);
    if (shown !== '') fitted.push([shown, paint]);
    if (shown !== text) break;
  }
  if (pad && left > 0) fitted.push([' '.repeat(left)]);
  return fitted;
}

export function cutColumns(text: string, width: number): string {
  if (plain.test(text)) return text.slice(0, Math.max(0, width));
  let shown = '';
  let left = width;
  for (const char of text) {
    left -= widthOf(char);
    if (left < 0) break;
    shown += char;
  }
  return shown;
}

/** As the terminal gets it. */
export function paintLine(line: Line): string {
  return line.map(([text, paint]) => (paint === undefined || text === '' ? text : paint(text))).join('');
}

/** Two blocks beside each other; `height`: of both. */
export function beside(left: readonly Line[], right: readonly Line[], leftWidth: number, gap: number): Line[] {
  const height = Math.max(left.length, right.length);
  return Array.from({ length: height }, (_, at) => [...fitLine(left[at] ?? [], leftWidth, true), [' '.repeat(gap)], ...(right[at] ?? [])]);
}

/** The first that fits, else the last, cut. Alternatives from the most to the least that can be said. */
export function firstThatFits(alternatives: readonly Line[], width: number): Line {
  return alternatives.find((line) => lineColumns(line) <= width) ?? fitLine(alternatives.at(-1) ?? [], width);
}
