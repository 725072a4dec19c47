/**
 * Takes in what `sync-content-send.ts` sends: each file is verified before it counts. Imports its own folder only; the two ends bring
 * their own disks.
 */
import type { Part } from './call-state.ts';
import { type ChunkList, ChunkListBuilder } from './chunk-list.ts';
import { mostBytes } from './chunker.ts';
import { type Hashing, type RunningHash, smallFileBytes } from './content-id.ts';
import { mostCopied, RecordReader, recordKinds, type Told } from './content-records.ts';
import { FrameError } from './frame.ts';

export interface FileDue {
  readonly index: number;
  /** The content that was told of before; null: none was. */
  readonly announced: string | null;
  /** Bytes; nothing beyond them is written. */
  readonly most: number;
}

/** Where content goes. */
export interface Landing<Due> {
  readonly hashing: Hashing;
  /** Before each block, and after each pause: others may have done something meanwhile. */
  begin(): void;
  /** Lets others do something. */
  pause(): Promise<void>;
  /** A small file, all of it, verified. The bytes are not to be kept. */
  whole(due: Due, bytes: Uint8Array, told: Told): void;
  /** A file in pieces. */
  open(due: Due): OpenLanding;
  /** The other side gave it up, or says that it is here already. */
  absent(due: Due, why: 'gone' | 'same'): void;
}

export interface OpenLanding {
  write(bytes: Uint8Array): void;
  /** All was written, and verified. `chunks`: of which it was made; null: it came in plain pieces. */
  place(told: Told, chunks: ChunkListBuilder | null): void;
  /** In any case, at the end: what was not placed counts for nothing, but for a later push. */
  close(): void;
  /** An older version that was offered; absent: none was. */
  readonly base?: {
    readonly list: ChunkList;
    read(into: Uint8Array, offset: number): void;
    /** What it means that a chunk of it is not what the list says. */
    spoiled(): Error;
  };
  /** The beginning of the file, that came in an earlier push and was offered: what is written goes behind it now. Absent: none was. */
  readonly keep?: () => ChunkListBuilder;
}

/** What is read of a base between two pauses. */
const pauseBytes = 4 * 1024 * 1024;

/** All that is due, in this order. @throws FrameError when something else, something damaged or more than `most` arrives */
export async function receiveFiles<Due extends FileDue>(parts: AsyncIterator<Part>, due: readonly Due[], landing: Landing<Due>): Promise<void> {
  const receiver = new Receiver(due, landing);
  try {
    for (let offset = 0; !receiver.done; ) {
      const { value: part, done } = await parts.next();
      if (done === true) throw new FrameError('the call ended in the middle of its files');
      if (part.kind !== 'block') throw new FrameError('a message came where a file was due');
      if (part.block.offset !== offset) throw new FrameError('a block came that is not the next one');
      offset += part.block.bytes.length;
      landing.begin();
      const reader = new RecordReader(part.block.bytes);
      while (!reader.done) {
        receiver.take(reader);
        if (receiver.copied < pauseBytes) continue;
        receiver.copied = 0;
        await landing.pause();
        landing.begin();
      }
    }
  } finally {
    receiver.close();
  }
}

/** In pieces: all of them plain, or all of them chunks. */
interface Arriving<Due> {
  readonly due: Due;
  readonly landing: OpenLanding;
  plain: RunningHash | null;
  chunks: ChunkListBuilder | null;
  size: number;
}

class Receiver<Due extends FileDue> {
  /** Bytes from bases since the last pause. */
  copied = 0;
  readonly #due: readonly Due[];
  readonly #landing: Landing<Due>;
  readonly #copy = new Uint8Array(mostBytes);
  #next = 0;
  #arriving: Arriving<Due> | null = null;

  constructor(due: readonly Due[], landing: Landing<Due>) {
    this.#due = due;
    this.#landing = landing;
  }

  get done(): boolean {
    return this.#next === this.#due.length;
  }

  close(): void {
    this.#arriving?.landing.close();
    this.#arriving = null;
  }

  take(reader: RecordReader): void {
    const kind = reader.byte();
    if (kind === recordKinds.whole) this.#whole(reader);
    else if (kind === recordKinds.chunk) this.#chunk(reader);
    else if (kind === recordKinds.data) this.#data(reader);
    else if (kind === recordKinds.copy) this.#copyChunks(reader);
    else if (kind === recordKinds.begin) this.#begin(reader);
    else if (kind === recordKinds.end) this.#end(reader);
    else if (kind === recordKinds.again) this.#again();
    else if (kind === recordKinds.keep) this.#keep();
    else if (kind === recordKinds.gone || kind === recordKinds.same) this.#absent(reader, kind === recordKinds.gone ? 'gone' : 'same');
    else throw new FrameError('a record of an unknown kind came');
  }

  /** The file that is due, and is the one that comes. */
  #expect(reader: RecordReader): Due {
    const due = this.#due[this.#next];
    if (reader.number() !== due?.index || this.#arriving !== null) throw new FrameError('another file came than the one that is due');
    return due;
  }

  #whole(reader: RecordReader): void {
    const due = this.#expect(reader);
    const told = reader.told(due.announced);
    const bytes = reader.take(told.size);
    if (told.size > due.most) throw tooLong(due);
    if (this.#landing.hashing.hex(bytes) !== told.id) throw damaged();
    this.#landing.whole(due, bytes, told);
    this.#next += 1;
  }

  #begin(reader: RecordReader): void {
    const due = this.#expect(reader);
    this.#arriving = { due, landing: this.#landing.open(due), plain: null, chunks: null, size: 0 };
  }

  #data(reader: RecordReader): void {
    const arriving = this.#inPieces();
    if (arriving.chunks !== null) throw mixed();
    arriving.plain ??= this.#landing.hashing.start();
    const bytes = reader.take(reader.number());
    this.#grow(arriving, bytes.length);
    arriving.plain.update(bytes);
    arriving.landing.write(bytes);
  }

  #chunk(reader: RecordReader): void {
    const arriving = this.#inPieces();
    const bytes = reader.take(reader.number(mostBytes));
    this.#grow(arriving, bytes.length);
    chunksOf(arriving).add(bytes.length, this.#landing.hashing.raw(bytes));
    arriving.landing.write(bytes);
  }

  #copyChunks(reader: RecordReader): void {
    const arriving = this.#inPieces();
    const { base } = arriving.landing;
    if (base === undefined) throw new FrameError('a piece is to be copied from a base that was never offered');
    const first = reader.number(base.list.count - 1);
    const count = reader.number(Math.min(mostCopied, base.list.count - first));
    for (let nth = first; nth < first + count; nth += 1) {
      const bytes = this.#copy.subarray(0, base.list.length(nth));
      this.#grow(arriving, bytes.length);
      base.read(bytes, base.list.offset(nth));
      const digest = this.#landing.hashing.raw(bytes);
      if (!base.list.isDigest(nth, digest)) throw base.spoiled();
      chunksOf(arriving).add(bytes.length, digest);
      arriving.landing.write(bytes);
      this.copied += bytes.length;
    }
  }

  #keep(): void {
    const arriving = this.#inPieces();
    const { keep } = arriving.landing;
    if (keep === undefined || arriving.size > 0) throw new FrameError('a file is to go on behind a part that was never offered');
    arriving.chunks = keep();
    this.#grow(arriving, arriving.chunks.size);
  }

  #grow(arriving: Arriving<Due>, bytes: number): void {
    arriving.size += bytes;
    if (arriving.size > arriving.due.most) throw tooLong(arriving.due);
  }

  #end(reader: RecordReader): void {
    const { due, size, plain, chunks, landing } = this.#inPieces();
    const { hashing } = this.#landing;
    const told = reader.told(due.announced);
    if (chunks !== null && size <= smallFileBytes) throw mixed();
    const id = chunks === null ? (plain ?? hashing.start()).hex() : chunks.id(hashing);
    if (told.size !== size || id !== told.id) throw damaged();
    landing.place(told, chunks);
    this.close();
    this.#next += 1;
  }

  #again(): void {
    this.#inPieces();
    this.close();
  }

  #absent(reader: RecordReader, why: 'gone' | 'same'): void {
    this.#landing.absent(this.#expect(reader), why);
    this.#next += 1;
  }

  #inPieces(): Arriving<Due> {
    if (this.#arriving === null) throw new FrameError('a piece came of no file');
    return this.#arriving;
  }
}

function chunksOf(arriving: Arriving<unknown>): ChunkListBuilder {
  if (arriving.plain !== null) throw mixed();
  arriving.chunks ??= new ChunkListBuilder();
  return arriving.chunks;
}

function mixed(): FrameError {
  return new FrameError('a file came in pieces that do not belong together');
}

function tooLong({ most }: FileDue): FrameError {
  return new FrameError(`a file came that is longer than ${most} bytes, far more than was announced`);
}

function damaged(): FrameError {
  return new FrameError('a file arrived damaged: its size or SHA-256 is not what was announced');
}
