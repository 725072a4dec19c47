/**
 * The shape of a JSON object on a line: what it is but for its numbers. Of lines that a job prints again and again with other numbers
 * it says, by a look at each byte, what parsing them would say: the same names, and a number for each.
 */
import { isDigit, zero } from './ascii.ts';

/** The line's bytes, with a 0 in the place of each number. */
export type JsonShape = Uint8Array;

const number = 0;
const quote = 0x22;
const backslash = 0x5c;
const minus = 0x2d;
const plus = 0x2b;
const point = 0x2e;
const exponent = 0x65;
const lowerCase = 0x20;
/** Longer ones may be infinite. */
const longestNumber = 40;
const longestExponent = 2;

/** Of a line that is an object; null: it has none. */
export function shapeOf(bytes: Uint8Array, start: number, stop: number): JsonShape | null {
  const shape: number[] = [];
  let inText = false;
  for (let at = start; at < stop; ) {
    const byte = bytes[at] as number;
    if (byte === number) return null;
    if (!inText && (byte === minus || isDigit(byte))) {
      at = behindNumber(bytes, at, stop);
      if (at < 0) return null;
      shape.push(number);
      continue;
    }
    shape.push(byte);
    at += 1;
    if (byte === quote) inText = !inText;
    else if (byte === backslash && inText && at < stop) {
      shape.push(bytes[at] as number);
      at += 1;
    }
  }
  return Uint8Array.from(shape);
}

export function hasShape(shape: JsonShape, bytes: Uint8Array, start: number, stop: number): boolean {
  let at = start;
  for (let index = 0; index < shape.length; index++) {
    const wanted = shape[index] as number;
    if (wanted !== number) {
      if (bytes[at] !== wanted) return false;
      at += 1;
      continue;
    }
    at = behindNumber(bytes, at, stop);
    if (at < 0) return false;
  }
  return at === stop;
}

/** A finite number of JSON that begins at `from`; -1: there is none. */
function behindNumber(bytes: Uint8Array, from: number, stop: number): number {
  let at = bytes[from] === minus ? from + 1 : from;
  const whole = at;
  at = behindDigits(bytes, at, stop);
  if (at === whole || (bytes[whole] === zero && at > whole + 1)) return -1;
  if (at < stop && bytes[at] === point) {
    const behind = behindDigits(bytes, at + 1, stop);
    if (behind === at + 1) return -1;
    at = behind;
  }
  if (at < stop && ((bytes[at] as number) | lowerCase) === exponent) {
    const sign = bytes[at + 1];
    const power = sign === minus || sign === plus ? at + 2 : at + 1;
    at = behindDigits(bytes, power, stop);
    if (at === power || at > power + longestExponent) return -1;
  }
  return at - from <= longestNumber ? at : -1;
}

function behindDigits(bytes: Uint8Array, from: number, stop: number): number {
  let at = from;
  while (at < stop && isDigit(bytes[at] as number)) at += 1;
  return at;
}
