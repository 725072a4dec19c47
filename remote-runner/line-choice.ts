/**
 * Which lines of a log are worth a closer look. It is asked about every byte that a job writes, so it goes by bytes: a table
 * finds the few that can tell something, and their neighbours are looked at.
 */

export interface LineChoice {
  /** Not 0: line ends, and the bytes that `isMarked` is asked about. */
  readonly marks: Uint8Array;
  /** Whether the byte at `index` makes its line, which begins at `start`, a marked one. */
  isMarked(bytes: Uint8Array, index: number, start: number): boolean;
  isWanted(bytes: Uint8Array, start: number, end: number, marked: boolean): boolean;
}

/** Progress bars and lines of a training loop are shorter than this; bytes. */
const longestMarked = 2 * 1024;
const openBrace = 0x7b;
const openBracket = 0x5b;
const esc = 0x1b;
const colon = 0x3a;
const lowerCase = 0x20;

export const everyLine: LineChoice = { marks: markTable(''), isMarked: () => false, isWanted: () => true };

/** Lines that begin with `{`. */
export const objectLines: LineChoice = { marks: markTable(''), isMarked: () => false, isWanted: (bytes, start) => bytes[start] === openBrace };

/** Objects, and what holds the word `step` or `epoch`, begins with `iter`, or has the bracket of a progress bar. */
export const tellingLines: LineChoice = {
  marks: markTable('pP['),
  isMarked: (bytes, index, start) => (bytes[index] === openBracket ? isBarBracket(bytes, index, start) : isStepOrEpoch(bytes, index, start)),
  isWanted: (bytes, start, end, marked) => {
    if (marked && end - start <= longestMarked) return true;
    const first = behindColours(bytes, start, end);
    return bytes[first] === openBrace || (end - start <= longestMarked && says(bytes, first, 'iter'));
  },
};

function markTable(characters: string): Uint8Array {
  const table = new Uint8Array(256);
  for (const character of `\r\n${characters}`) table[character.charCodeAt(0)] = 1;
  return table;
}

function isStepOrEpoch(bytes: Uint8Array, index: number, start: number): boolean {
  return (index - 3 >= start && says(bytes, index - 3, 'step')) || (index > start && says(bytes, index - 1, 'epoch'));
}

/** Letters of either case. */
function says(bytes: Uint8Array, at: number, word: string): boolean {
  for (let index = 0; index < word.length; index++) {
    if (((bytes[at + index] as number) | lowerCase) !== word.charCodeAt(index)) return false;
  }
  return true;
}

/** tqdm's ` [00:17<`, ` [1:02:03<`, and ` [===>`, ` [....` of Keras before version 3. */
function isBarBracket(bytes: Uint8Array, index: number, start: number): boolean {
  if (index === start || bytes[index - 1] !== 0x20) return false;
  const next = bytes[index + 1] as number;
  if (next === 0x3d || next === 0x3e || next === 0x2e) return true; // = > .
  if (next < 0x30 || next > 0x39) return false;
  return bytes[index + 2] === colon || bytes[index + 3] === colon || bytes[index + 4] === colon;
}

/** Where the text begins behind `ESC [ ... letter`: cursor movements of nested bars, colours. */
function behindColours(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at + 1 < end && bytes[at] === esc && bytes[at + 1] === openBracket) {
    at += 2;
    while (at < end && ((bytes[at] as number) < 0x40 || (bytes[at] as number) > 0x7e)) at += 1;
    at += 1;
  }
  return at;
}
