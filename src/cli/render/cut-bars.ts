/** Progress bars that have become wider than the terminal, by the times before them: a state that goes on in the next line can't be drawn over. */
import type { LineFilter } from './log-lines.ts';

const [newline, carriageReturn, backspace, escapeByte, bracket] = [0x0a, 0x0d, 0x08, 0x1b, 0x5b];
/** Of what lies beyond the terminal's edge so much is kept, in case that it is the last state. */
const keptBytes = 4096;

/** What follows a carriage return is cut at the terminal's edge; the rest comes when the line ends with it. `columns`: of the terminal. */
export function createCutBars(columns: () => number): LineFilter {
  let isState = false;
  let column = 0;
  /** Where we are in what steers the terminal and takes no room. */
  let steering: 'none' | 'begun' | 'sequence' = 'none';
  let rest: number[] = [];
  let isCut = false;

  const begin = (state: boolean) => {
    isState = state;
    isCut = false;
    column = 0;
    rest = [];
  };
  const steer = (byte: number): void => {
    if (steering === 'begun') steering = byte === bracket ? 'sequence' : 'none';
    else if (byte >= 0x40 && byte <= 0x7e) steering = 'none';
  };
  /** Whether the byte is shown now. */
  const take = (byte: number): boolean => {
    if (byte === escapeByte) steering = 'begun';
    else if (steering !== 'none') steer(byte);
    else if (byte === backspace) {
      column = Math.max(0, column - 1);
      return !isCut;
    } else {
      if ((byte & 0xc0) !== 0x80) {
        column += 1; // the first byte of a character
        isCut ||= column >= columns();
      }
      if (isCut && rest.length < keptBytes) rest.push(byte);
      return !isCut;
    }
    return true;
  };
  return {
    push({ bytes, at }) {
      const shown: number[] = [];
      for (const byte of bytes) {
        if (byte === newline) shown.push(...rest);
        if (byte === newline || byte === carriageReturn) begin(byte === carriageReturn);
        else if (isState && !take(byte)) continue;
        shown.push(byte);
      }
      return [{ bytes: Uint8Array.from(shown), at }];
    },
    rest() {
      const last = Uint8Array.from(rest);
      begin(false);
      return last.length === 0 ? [] : [{ bytes: last, at: null }];
    },
  };
}
