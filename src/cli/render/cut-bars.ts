/** Progress bars that have become wider than the terminal, by the times before them: a state that goes on in the next line can't be drawn over. */
import type { LineFilter } from './log-lines.ts';

const [newline, carriageReturn, backspace, escapeByte, bracket] = [0x0a, 0x0d, 0x08, 0x1b, 0x5b];
/** Of what lies beyond the terminal's edge so much is kept, in case that it is the last state. */
const keptBytes = 4096;
/** Characters that take two columns: Unicode's East Asian Width has W and F for them, which patterns can't ask for. */
const wide = /[\p{Emoji_Presentation}\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Hangul}\p{sc=Bopomofo}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/u;

/** What follows a carriage return is cut at the terminal's edge; the rest comes when the line ends with it. `columns`: of the terminal. */
export function createCutBars(columns: () => number): LineFilter {
  let isState = false;
  let column = 0;
  /** Where we are in what steers the terminal and takes no room. */
  let steering: 'none' | 'begun' | 'sequence' = 'none';
  /** Bytes of a character of which more are to come. */
  let character: number[] = [];
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
  const place = (shown: number[]): void => {
    if (character.length === 0) return;
    column += columnsOf(character);
    isCut ||= column >= columns();
    if (!isCut) shown.push(...character);
    else if (rest.length < keptBytes) rest.push(...character);
    character = [];
  };
  const take = (byte: number, shown: number[]): void => {
    if (!isContinued(byte)) place(shown); // it was broken off
    if (byte === escapeByte || steering !== 'none') {
      if (byte === escapeByte) steering = 'begun';
      else steer(byte);
      shown.push(byte);
    } else if (byte === backspace) {
      column = Math.max(0, column - 1);
      if (!isCut) shown.push(byte);
    } else {
      character.push(byte);
      if (character.length >= lengthOf(character[0] ?? 0)) place(shown);
    }
  };
  return {
    push({ bytes, at }) {
      const shown: number[] = [];
      for (const byte of bytes) {
        if (byte !== newline && byte !== carriageReturn && isState) {
          take(byte, shown);
          continue;
        }
        place(shown);
        if (byte === newline) shown.push(...rest);
        if (byte === newline || byte === carriageReturn) begin(byte === carriageReturn);
        shown.push(byte);
      }
      return [{ bytes: Uint8Array.from(shown), at }];
    },
    rest() {
      const shown: number[] = [];
      place(shown);
      const last = Uint8Array.from([...shown, ...rest]);
      begin(false);
      return last.length === 0 ? [] : [{ bytes: last, at: null }];
    },
  };
}

/** Not the first byte of a character in UTF-8. */
function isContinued(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}

/** Bytes of the character that begins with this one. */
function lengthOf(first: number): number {
  if (first < 0xc0) return 1;
  if (first < 0xe0) return 2;
  return first < 0xf0 ? 3 : 4;
}

/** A byte that is no character is shown as one. */
function columnsOf(character: readonly number[]): number {
  const [first = 0, second = 0, third] = character;
  const isDrawn = first === 0xe2 && second >= 0x94 && second <= 0x96; // U+2500 to U+25BF, lines and blocks: what bars are made of
  return third !== undefined && !isDrawn && wide.test(Buffer.from(character).toString()) ? 2 : 1;
}
