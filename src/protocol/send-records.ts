/** What a sender has open, and how it writes single records into its blocks. Used by the files that send content. Imports its own folder only. */
import type { BlockWriter } from './block-writer.ts';
import type { ChunkList } from './chunk-list.ts';
import type { Chunker } from './chunker.ts';
import type { Hashing } from './content-id.ts';
import { mostHeadBytes, recordKinds, type Told, writeBare, writeEnd, writePlain } from './content-records.ts';

export interface FileToSend {
  /** What both ends call it. */
  readonly index: number;
  /** As far as is known. */
  readonly size: number;
  /** The content that the receiver was told of before; null: of none. */
  readonly announced: string | null;
  /** What the receiver has in its place, a large file; null: nothing of use. */
  readonly base: string | null;
  /** What of it came in an earlier push, and is whole: so many bytes, and what their chunks are called. null: nothing. */
  readonly part: { readonly size: number; readonly id: string } | null;
  /** Of what it is made, and how it looked then: while it looks so, it is not cut once more. Absent: unknown. */
  readonly made?: Made | undefined;
}

export interface Made {
  readonly stamp: string;
  readonly list: ChunkList;
}

/** A file opened for reading from its start to the size it had then. */
export interface ContentSource {
  /** When it was opened. */
  readonly size: number;
  /** Changes whenever the file may have changed. */
  stamp(): string;
  /** The next bytes, as many as fit; 0 at the end. */
  read(into: Uint8Array): number;
  /** Leaves out so many bytes. */
  skip(bytes: number): void;
  close(): void;
}

/** A small file that was read: `stamp` is that of the content. */
export interface SmallRead {
  readonly size: number;
  readonly stamp: string;
  readonly torn: boolean;
}

/** What is known of chunks at one end. */
export interface ChunkMemory {
  /** null: not known, or not any more. */
  known(id: string): ChunkList | null;
  keep(id: string, list: Uint8Array): void;
}

export interface ContentDisk<File> {
  readonly hashing: Hashing;
  /** All of a small file, into the front of `into`. null: it isn't there any more; 'long': it doesn't fit. */
  readSmall(file: File, into: Uint8Array): SmallRead | 'long' | null;
  /** null: it isn't there any more. */
  open(file: File): ContentSource | null;
  /** null: large files are called by the SHA-256 of their bytes, and travel in plain pieces. */
  readonly chunks: { readonly memory: ChunkMemory; createChunker(): Chunker } | null;
  /** Lets others do something. May throw: nobody wants the files any more. */
  pause(): Promise<void>;
}

export interface Sent extends Told {
  readonly stamp: string;
}

export interface Sending<File> {
  readonly disk: ContentDisk<File>;
  readonly out: BlockWriter;
  readonly onBytes: (sent: number, saved: number) => void;
  readonly onSent: (file: File, sent: Sent | null) => void;
  readonly head: Uint8Array;
  /** For a small file that is longer than a block. Made when needed, as the chunker is. */
  whole: Uint8Array | null;
  chunker: Chunker | null;
}

export async function makeRoom<File>({ out }: Sending<File>, bytes: number): Promise<void> {
  const wait = out.room(bytes);
  if (wait !== null) await wait;
}

/** One of those records that only name a file. */
export async function putPlain<File extends FileToSend>(
  kind: (typeof recordKinds)['begin' | 'gone' | 'same'],
  { index }: File,
  sending: Sending<File>,
): Promise<void> {
  await makeRoom(sending, mostHeadBytes);
  sending.out.used = writePlain(sending.out.block, sending.out.used, kind, index);
}

export async function putBare<File>(kind: (typeof recordKinds)['again' | 'keep'], sending: Sending<File>): Promise<void> {
  await makeRoom(sending, 1);
  sending.out.used = writeBare(sending.out.block, sending.out.used, kind);
}

export async function putEnd<File extends FileToSend>(file: File, sent: Sent, sending: Sending<File>): Promise<void> {
  await makeRoom(sending, mostHeadBytes);
  sending.out.used = writeEnd(sending.out.block, sending.out.used, sent, file.announced);
  sending.onSent(file, sent);
}

export async function putGone<File extends FileToSend>(file: File, sending: Sending<File>): Promise<void> {
  await putPlain(recordKinds.gone, file, sending);
  sending.onSent(file, null);
}
