/**
 * Which lines of a log are worth a closer look: objects, and what holds the word `step` or `epoch`, begins with `iter`, or has the
 * bracket of a progress bar. It is asked about most of what a job writes, so it goes by bytes.
 */
import { colon, isDigit, openBrace } from './ascii.ts';

/** Progress bars and lines of a training loop are shorter than this; bytes. */
const longestMarked = 2 * 1024;
const openBracket = 0x5b;
const esc = 0x1b;
const letterP = 0x70;
const lowerCase = 0x20;

export function isTelling(bytes: Uint8Array, start: number, end: number): boolean {
  const first = behindColours(bytes, start, end);
  if (bytes[first] === openBrace) return true;
  return end - start <= longestMarked && (says(bytes, first, 'iter') || isMarked(bytes, start, end));
}

function isMarked(bytes: Uint8Array, start: number, end: number): boolean {
  for (let index = start; index < end; index++) {
    const byte = bytes[index] as number;
    if ((byte | lowerCase) === letterP ? isStepOrEpoch(bytes, index, start) : byte === openBracket && isBarBracket(bytes, index, start)) return true;
  }
  return false;
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
  if (!isDigit(next)) return false;
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
