/**
 * The chunks of a large file in order, and how a file is cut into them. Imports its own folder only. Kept as bytes, 36 a chunk (u32le
 * length | SHA-256): a file of 50 GB has some 700,000 of them. The SHA-256 over these bytes is what the content is called.
 */
import type { Chunker } from './chunker.ts';
import { leastBytes, mostBytes, roomBytes } from './chunker.ts';
import { type Hashing, sha256Bytes } from './content-id.ts';

const recordBytes = 4 + sha256Bytes;

export interface ChunkList {
  readonly count: number;
  /** As they are kept. */
  readonly bytes: Uint8Array;
  /** Of all chunks together. */
  readonly size: number;
  length(nth: number): number;
  /** Where it begins in the file. */
  offset(nth: number): number;
  isDigest(nth: number, digest: Uint8Array): boolean;
  /** A view. */
  digest(nth: number): Uint8Array;
}

export class ChunkListBuilder {
  #bytes = new Uint8Array(64 * recordBytes);
  #count = 0;
  #size = 0;

  get count(): number {
    return this.#count;
  }

  get size(): number {
    return this.#size;
  }

  add(length: number, digest: Uint8Array): void {
    const at = this.#count * recordBytes;
    if (at === this.#bytes.length) {
      const more = new Uint8Array(2 * at);
      more.set(this.#bytes);
      this.#bytes = more;
    }
    writeLength(this.#bytes, at, length);
    this.#bytes.set(digest, at + 4);
    this.#count += 1;
    this.#size += length;
  }

  /** A view: what is added later may not show in it. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#count * recordBytes);
  }

  id(hashing: Hashing): string {
    return hashing.hex(this.bytes);
  }
}

/** null: these bytes are no list, or not the one that is called so. */
export function chunkListOf(bytes: Uint8Array, id: string, hashing: Hashing): ChunkList | null {
  const count = bytes.length / recordBytes;
  if (!Number.isInteger(count) || count === 0 || hashing.hex(bytes) !== id) return null;
  const offsets = new Float64Array(count + 1);
  for (let nth = 0; nth < count; nth += 1) {
    const length = readLength(bytes, nth * recordBytes);
    if (length > mostBytes || length === 0 || (nth < count - 1 && length < leastBytes)) return null;
    offsets[nth + 1] = (offsets[nth] as number) + length;
  }
  return {
    count,
    bytes,
    size: offsets[count] as number,
    length: (nth) => readLength(bytes, nth * recordBytes),
    offset: (nth) => offsets[nth] as number,
    isDigest: (nth, digest) => isSame(bytes, nth * recordBytes + 4, digest),
    digest: (nth) => bytes.subarray(nth * recordBytes + 4, (nth + 1) * recordBytes),
  };
}

function writeLength(bytes: Uint8Array, at: number, length: number): void {
  for (let byte = 0; byte < 4; byte += 1) bytes[at + byte] = (length >>> (8 * byte)) & 0xff;
}

function readLength(bytes: Uint8Array, at: number): number {
  let length = 0;
  for (let byte = 3; byte >= 0; byte -= 1) length = length * 256 + (bytes[at + byte] as number);
  return length;
}

function isSame(bytes: Uint8Array, at: number, other: Uint8Array): boolean {
  for (let nth = 0; nth < sha256Bytes; nth += 1) if (bytes[at + nth] !== other[nth]) return false;
  return true;
}

/** Finds a chunk by its digest. */
export type FindChunk = (length: number, digest: Uint8Array) => number | null;

/** Without an object a chunk: a table of numbers, twice as long as the list at least, each chunk at the first free place from its digest on. */
export function indexChunks(list: ChunkList): FindChunk {
  const places = 2 ** Math.ceil(Math.log2(2 * list.count + 2));
  const table = new Int32Array(places);
  const placeOf = (bytes: Uint8Array, at: number) => readLength(bytes, at) & (places - 1);
  for (let nth = 0; nth < list.count; nth += 1) {
    let place = placeOf(list.bytes, nth * recordBytes + 4);
    while (table[place] !== 0) place = (place + 1) & (places - 1);
    table[place] = nth + 1;
  }
  return (length, digest) => {
    for (let place = placeOf(digest, 0); table[place] !== 0; place = (place + 1) & (places - 1)) {
      const nth = (table[place] as number) - 1;
      if (list.length(nth) === length && list.isDigest(nth, digest)) return nth;
    }
    return null;
  };
}

/** Reads on, chunk by chunk. What it gives lies in the chunker's room, and is good until the next one is asked for. null: that was all. */
export function createChunkReader(read: (into: Uint8Array) => number, chunker: Chunker): () => Uint8Array | null {
  const { room } = chunker;
  let [at, have, over] = [0, 0, false];
  const fill = () => {
    room.copyWithin(0, at, have);
    have -= at;
    at = 0;
    while (!over && have < roomBytes) {
      const came = read(room.subarray(have));
      over = came === 0;
      have += came;
    }
  };
  return () => {
    let end = chunker.cut(at, have);
    if (end === 0 && !over) {
      fill();
      end = chunker.cut(at, have);
    }
    if (end === 0) end = have;
    if (end === at) return null;
    const chunk = room.subarray(at, end);
    at = end;
    return chunk;
  };
}
