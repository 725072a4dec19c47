/** Colours and weights, or none of them. Everything in `render/` is pure: text in, text out; it may import core and types. */
import { styleText } from 'node:util';

type Painter = (text: string) => string;

export interface Style {
  readonly bold: Painter;
  readonly dim: Painter;
  readonly red: Painter;
  readonly green: Painter;
  readonly yellow: Painter;
}

export function createStyle(color: boolean): Style {
  const painter =
    (format: Parameters<typeof styleText>[0]): Painter =>
    (text) =>
      color && text !== '' ? styleText(format, text, { validateStream: false }) : text;
  return { bold: painter('bold'), dim: painter('dim'), red: painter('red'), green: painter('green'), yellow: painter('yellow') };
}
