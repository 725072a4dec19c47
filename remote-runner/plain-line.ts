/** What a line can't be, by its bytes: text is made of the others only. */
import { colon, isDigit, openBrace, zero } from './ascii.ts';

const blank = 0x20;
const tab = 0x09;
const lastPrintable = 0x7e;
const percent = 0x25;
const slash = 0x2f;
const equals = 0x3d;
const capitalE = 0x45;
const closingBracket = 0x5d;
const letterI = 0x69;
const letterS = 0x73;
const letterT = 0x74;
const verticalBar = 0x7c;
const firstControl = 0x09;
const lastControl = 0x0d;
const firstBeyondAscii = 0x80;

/** Whether the first byte that is no blank may be the `{` of an object: what is beyond ASCII may be a blank, too. */
export function mayBeginObject(bytes: Uint8Array, start: number, stop: number): boolean {
  let at = start;
  while (at < stop && isBlank(bytes[at] as number)) at += 1;
  const first = bytes[at] as number;
  return at < stop && (first === openBrace || first >= firstBeyondAscii);
}

function isBlank(byte: number): boolean {
  return byte === blank || (byte >= firstControl && byte <= lastControl);
}

/**
 * Whether a line can say something by pairs alone: it is no object, no bar, and none of the lines by which the other readers, or that of
 * pairs, know where they are. Of such lines each can be read without those before it.
 */
export function isSurelyPairs(bytes: Uint8Array, start: number, stop: number): boolean {
  let first = start;
  while (first < stop && isBlank(bytes[first] as number)) first += 1;
  let isPair = false;
  let last = 0;
  for (let at = first; at < stop; at++) {
    const byte = bytes[at] as number;
    if (byte === blank || byte === tab) continue;
    if (byte < blank || byte > lastPrintable) return false; // colours, bars
    last = byte;
    if (byte === equals || byte === colon) isPair = true;
    else if (byte === slash && isOutOfZero(bytes, first, at)) return false;
  }
  return last !== closingBracket && mayBegin(bytes, first, stop, isPair);
}

/** Not as lines of Keras do: `Epoch 3/10`, `37/469 - 3s`. */
function mayBegin(bytes: Uint8Array, first: number, stop: number, isPair: boolean): boolean {
  const byte = bytes[first] as number;
  if (byte === openBrace) return false;
  if (byte === capitalE) return isPair;
  let at = first;
  while (at < stop && isDigit(bytes[at] as number)) at += 1;
  return at === first || bytes[at] !== slash;
}

/** `0/10`: epochs that are counted from 0. */
function isOutOfZero(bytes: Uint8Array, start: number, slashAt: number): boolean {
  let at = slashAt - 1;
  while (at >= start && (bytes[at] === blank || bytes[at] === tab)) at -= 1;
  if (at < start || bytes[at] !== zero) return false;
  while (at >= start && bytes[at] === zero) at -= 1;
  return at < start || !isDigit(bytes[at] as number);
}

/** A state of a progress bar, which the next one replaces: `37%|`, `it/s`, `s/it`, or a count out of a number in front. */
export function isRedrawnBar(bytes: Uint8Array, start: number, stop: number): boolean {
  for (let at = start + 1; at < stop; at++) {
    const byte = bytes[at] as number;
    if (byte === verticalBar && bytes[at - 1] === percent) return true;
    if (byte === slash && at + 1 < stop && isRate(bytes, start, at, stop)) return true;
  }
  return beginsWithCount(bytes, start, stop);
}

function isRate(bytes: Uint8Array, start: number, slashAt: number, stop: number): boolean {
  const [before, behind] = [bytes[slashAt - 1], bytes[slashAt + 1]];
  if (before === letterT) return behind === letterS && slashAt - 2 >= start && bytes[slashAt - 2] === letterI;
  return before === letterS && behind === letterI && slashAt + 2 < stop && bytes[slashAt + 2] === letterT;
}

function beginsWithCount(bytes: Uint8Array, start: number, stop: number): boolean {
  let at = start;
  while (at < stop && isBlank(bytes[at] as number)) at += 1;
  const count = at;
  while (at < stop && isDigit(bytes[at] as number)) at += 1;
  if (at === count || bytes[at] !== slash) return false;
  const total = at + 1;
  for (at = total; at < stop && isDigit(bytes[at] as number); ) at += 1;
  return at > total && at < stop && isBlank(bytes[at] as number);
}
