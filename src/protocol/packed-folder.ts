/**
 * What is known of the entries of one folder, packed: a row each, in columns, in one piece of memory that is written to disk as it is. Both ends
 * keep their records so: a million entries take some 90 MB, and most folders are compared without looking at one of their rows as an object.
 * Imports its own folder only.
 *
 *   64 bytes   u32 rows | u32 bytes of names | u32 bytes of extra | u32 files | f64 bytes of content | 8 unused | 32 mark
 *   columns    5 x f64 | 2 x u16 | u8 flags | 32 bytes id, one after the other
 *   names      UTF-8, separated by NUL, then `extra` as JSON ([name, value] pairs), then up to 7 zeros
 *
 * Numbers are in the byte order of the computer that wrote them: such a record is read on that computer only.
 */

/** As `lstat` says it, where times are milliseconds with all the digits that a double has (a quarter of a microsecond). */
export interface Look {
  readonly ino: number;
  readonly size: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  /** Permission bits. */
  readonly mode: number;
}

export const noLook: Look = { ino: 0, size: 0, mtimeMs: 0, ctimeMs: 0, mode: 0 };

export interface Row {
  readonly name: string;
  /** Whoever keeps the record says what each bit means. */
  readonly flags: number;
  /** Of the entry; `look.mode` is what was seen. */
  readonly mode: number;
  /** Whole microseconds since the epoch, of the entry. */
  readonly mtime: number;
  readonly look: Look;
  /** 64 hex digits. */
  readonly sha256: string | null;
  /** Anything else, as JSON. */
  readonly extra?: unknown;
}

const headBytes = 64;
const numbersPerRow = 5;
const wordsPerRow = 2;
const idBytes = 32;
const markAt = 32;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A record opened for reading: rows by their number, without copying them. */
export class PackedFolder {
  readonly bytes: Uint8Array;
  readonly count: number;
  readonly #head: DataView;
  readonly #numbers: Float64Array;
  readonly #words: Uint16Array;
  readonly #flagsAt: number;
  readonly #idsAt: number;
  #names: readonly string[] | null = null;
  #extra: ReadonlyMap<string, unknown> | null = null;

  /** @throws RangeError when it is no such record */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes.byteOffset % 8 === 0 ? bytes : bytes.slice();
    const { buffer, byteOffset, byteLength } = this.bytes;
    this.#head = new DataView(buffer, byteOffset, byteLength);
    this.count = this.#head.getUint32(0, true);
    const wordsAt = headBytes + this.count * numbersPerRow * 8;
    this.#flagsAt = wordsAt + this.count * wordsPerRow * 2;
    this.#idsAt = this.#flagsAt + this.count;
    if (this.#extraAt + this.#head.getUint32(8, true) > byteLength) throw new RangeError('a folder record is shorter than it says');
    this.#numbers = new Float64Array(buffer, byteOffset + headBytes, this.count * numbersPerRow);
    this.#words = new Uint16Array(buffer, byteOffset + wordsAt, this.count * wordsPerRow);
  }

  get files(): number {
    return this.#head.getUint32(12, true);
  }

  /** Of all its files. */
  get contentBytes(): number {
    return this.#head.getFloat64(16, true);
  }

  get mark(): Uint8Array {
    return this.bytes.subarray(markAt, markAt + idBytes);
  }

  /** Without repetition, in the order in which they were added. */
  get names(): readonly string[] {
    const from = this.#idsAt + this.count * idBytes;
    this.#names ??= this.count === 0 ? [] : decoder.decode(this.bytes.subarray(from, this.#extraAt)).split('\0');
    return this.#names;
  }

  flags(row: number): number {
    return this.bytes[this.#flagsAt + row] ?? 0;
  }

  setFlags(row: number, flags: number): void {
    this.bytes[this.#flagsAt + row] = flags;
  }

  size(row: number): number {
    return this.#numbers[row * numbersPerRow + 1] ?? 0;
  }

  /** It looks as it did when the row was written. */
  looksLike(row: number, look: Look): boolean {
    const at = row * numbersPerRow;
    const numbers = this.#numbers;
    return (
      numbers[at + 3] === look.ctimeMs &&
      numbers[at + 2] === look.mtimeMs &&
      numbers[at + 1] === look.size &&
      numbers[at] === look.ino &&
      this.#words[row * wordsPerRow + 1] === (look.mode & 0o777)
    );
  }

  hasMode(row: number, mode: number): boolean {
    return this.#words[row * wordsPerRow + 1] === (mode & 0o777);
  }

  row(row: number): Row {
    const at = row * numbersPerRow;
    const number = (place: number) => this.#numbers[at + place] ?? 0;
    const word = (place: number) => this.#words[row * wordsPerRow + place] ?? 0;
    const name = this.names[row] ?? '';
    return {
      name,
      flags: this.flags(row),
      mode: word(0),
      mtime: number(4),
      look: { ino: number(0), size: number(1), mtimeMs: number(2), ctimeMs: number(3), mode: word(1) },
      sha256: this.#sha256(row),
      extra: this.#extras.get(name),
    };
  }

  *rows(): Generator<Row> {
    for (let row = 0; row < this.count; row += 1) yield this.row(row);
  }

  #sha256(row: number): string | null {
    const at = this.#idsAt + row * idBytes;
    const id = this.bytes.subarray(at, at + idBytes);
    return id.every((byte) => byte === 0) ? null : toHex(id);
  }

  get #extraAt(): number {
    return this.#idsAt + this.count * idBytes + this.#head.getUint32(4, true);
  }

  get #extras(): ReadonlyMap<string, unknown> {
    if (this.#extra !== null) return this.#extra;
    const length = this.#head.getUint32(8, true);
    const text = decoder.decode(this.bytes.subarray(this.#extraAt, this.#extraAt + length));
    this.#extra = length === 0 ? new Map() : new Map(JSON.parse(text) as [string, unknown][]);
    return this.#extra;
  }
}

/** `isFile`: its size counts. `mark`: 32 bytes of the keeper's own. */
export function packFolder(rows: readonly Row[], isFile: (row: Row) => boolean, mark: Uint8Array): Uint8Array {
  const names = encoder.encode(rows.map(({ name }) => name).join('\0'));
  const extras = rows.filter(({ extra }) => extra !== undefined).map(({ name, extra }) => [name, extra]);
  const extra = encoder.encode(extras.length === 0 ? '' : JSON.stringify(extras));
  const wordsAt = headBytes + rows.length * numbersPerRow * 8;
  const flagsAt = wordsAt + rows.length * wordsPerRow * 2;
  const idsAt = flagsAt + rows.length;
  const namesAt = idsAt + rows.length * idBytes;
  const bytes = new Uint8Array(Math.ceil((namesAt + names.length + extra.length) / 8) * 8);
  const head = new DataView(bytes.buffer);
  const numbers = new Float64Array(bytes.buffer, headBytes, rows.length * numbersPerRow);
  const words = new Uint16Array(bytes.buffer, wordsAt, rows.length * wordsPerRow);
  let files = 0;
  let content = 0;
  for (const [at, row] of rows.entries()) {
    const { flags, mode, mtime, look, sha256 } = row;
    numbers.set([look.ino, look.size, look.mtimeMs, look.ctimeMs, mtime], at * numbersPerRow);
    words.set([mode, look.mode & 0o777], at * wordsPerRow);
    bytes[flagsAt + at] = flags;
    if (sha256 !== null) putHex(sha256, bytes, idsAt + at * idBytes);
    if (!isFile(row)) continue;
    files += 1;
    content += look.size;
  }
  head.setUint32(0, rows.length, true);
  head.setUint32(4, names.length, true);
  head.setUint32(8, extra.length, true);
  head.setUint32(12, files, true);
  head.setFloat64(16, content, true);
  bytes.set(mark, markAt);
  bytes.set(names, namesAt);
  bytes.set(extra, namesAt + names.length);
  return bytes;
}

const hexOfByte = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export function toHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += hexOfByte[byte] ?? '';
  return text;
}

function putHex(hex: string, into: Uint8Array, at: number): void {
  for (let place = 0; place * 2 < hex.length; place += 1) into[at + place] = (digit(hex.charCodeAt(place * 2)) << 4) | digit(hex.charCodeAt(place * 2 + 1));
}

function digit(code: number): number {
  return code < 0x3a ? code - 0x30 : code - 0x57;
}
