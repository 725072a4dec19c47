/**
 * Content of many files as one stream of records, cut into blocks: no block ends inside a record, so that each is understood by itself,
 * and a small file is one record, not a message of its own. Imports its own folder only.
 *
 *   record = u8 kind | numbers, each as an unsigned LEB128 | bytes
 *   whole   index, flags, size | [SHA-256] | bytes      a small file, all of it
 *   begin   index                                       a file in pieces: what follows belongs to it, up to `end`, `again` or `gone`
 *   data    length | bytes                              its next bytes
 *   chunk   length | bytes                              the same, and it is one chunk of a large file
 *   copy    first, count                                these chunks of the base, a file that the receiver has offered
 *   keep                                                the part that the receiver has offered is right: it goes on behind it
 *   end     flags, size | [SHA-256]                     it is complete; the SHA-256 is over its chunks if it came in any
 *   again                                               its pieces so far count for nothing
 *   gone    index                                       it is not there any more
 *   same    index                                       the receiver has it already
 */
import { hexOf, sha256Bytes, writeHex } from './content-id.ts';
import { FrameError } from './frame.ts';

export const recordKinds = { whole: 1, begin: 2, data: 3, end: 4, again: 5, gone: 6, same: 7, chunk: 8, copy: 9, keep: 10 } as const;

/** It changed while it was read, each time. */
const tornFlag = 1;
/** It is the content that the receiver was told of before: its SHA-256 is left out. */
const announcedFlag = 2;

/** Of a record before its bytes, at most: kind, three numbers, SHA-256. */
export const mostHeadBytes = 1 + 3 * 8 + sha256Bytes;

/** `id`: see content-id.ts. */
export interface Told {
  readonly size: number;
  readonly id: string;
  readonly torn: boolean;
}

/** Writes into the front of `to`, gives where it ends. `announced`: what the receiver knows of already. */
export function writeWhole(to: Uint8Array, at: number, index: number, told: Told, announced: string | null): number {
  to[at] = recordKinds.whole;
  return writeTold(to, writeNumber(to, at + 1, index), told, announced);
}

export function writeEnd(to: Uint8Array, at: number, told: Told, announced: string | null): number {
  to[at] = recordKinds.end;
  return writeTold(to, at + 1, told, announced);
}

/** `number`: of those kinds that have exactly one. */
export function writePlain(to: Uint8Array, at: number, kind: (typeof recordKinds)['begin' | 'data' | 'gone' | 'same' | 'chunk'], number: number): number {
  to[at] = kind;
  return writeNumber(to, at + 1, number);
}

export function writeBare(to: Uint8Array, at: number, kind: (typeof recordKinds)['again' | 'keep']): number {
  to[at] = kind;
  return at + 1;
}

/** @param count at most `mostCopied` */
export function writeCopy(to: Uint8Array, at: number, first: number, count: number): number {
  to[at] = recordKinds.copy;
  return writeNumber(to, writeNumber(to, at + 1, first), count);
}

/** Chunks in one record: whoever copies them gets to do something else in between. */
export const mostCopied = 64;

function writeTold(to: Uint8Array, at: number, { size, id, torn }: Told, announced: string | null): number {
  const isAnnounced = id === announced;
  to[at] = (torn ? tornFlag : 0) | (isAnnounced ? announcedFlag : 0);
  const end = writeNumber(to, at + 1, size);
  if (isAnnounced) return end;
  return writeHex(to, end, id);
}

function writeNumber(to: Uint8Array, at: number, number: number): number {
  let [end, rest] = [at, number];
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) to[end++] = (rest % 0x80) | 0x80;
  to[end++] = rest;
  return end;
}

/** Reads what a peer sent. All methods throw FrameError where that is not what was agreed. */
export class RecordReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new FrameError('a record ends too early');
    return byte;
  }

  /** A whole number up to `most`. */
  number(most: number = Number.MAX_SAFE_INTEGER): number {
    let number = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.byte();
      number += (byte & 0x7f) * scale;
      if (number > most || scale > Number.MAX_SAFE_INTEGER) throw new FrameError(`a record holds a number beyond ${most}`);
      if (byte < 0x80) return number;
    }
  }

  /** A view, not a copy. */
  take(length: number): Uint8Array {
    const start = this.#at;
    this.#at += length;
    if (this.#at > this.#bytes.length) throw new FrameError('a record ends too early');
    return this.#bytes.subarray(start, this.#at);
  }

  /** @param announced what was told before; null: nothing */
  told(announced: string | null): Told {
    const flags = this.byte();
    if ((flags & ~(tornFlag | announcedFlag)) !== 0) throw new FrameError('a record holds unknown flags');
    const size = this.number();
    const torn = (flags & tornFlag) !== 0;
    if ((flags & announcedFlag) === 0) return { size, id: hexOf(this.take(sha256Bytes)), torn };
    if (announced === null) throw new FrameError('a record leaves out a SHA-256 that was never told');
    return { size, id: announced, torn };
  }
}
