/** Reading this computer's files: what belongs to one state of a file, and content to send. May import core, protocol and `node:`. */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { ChunkListBuilder, chunkListOf, createChunkReader } from '../protocol/chunk-list.ts';
import { createChunkStore } from '../protocol/chunk-store.ts';
import { createChunker } from '../protocol/chunker.ts';
import { smallFileBytes } from '../protocol/content-id.ts';
import { createFileReading } from '../protocol/read-file.ts';
import type { ChunkMemory, ContentDisk, ContentSource, FileToSend, Made } from '../protocol/send-records.ts';
import { hashing } from './hashing.ts';

export const reading = createFileReading(fs, ['ENOENT', 'ENOTDIR', 'ELOOP']);

export interface LocalFile extends FileToSend {
  readonly absolute: string;
  /** As it was when `announced` was its content; null: unknown. */
  readonly stamp: string | null;
}

/** To be sent to a machine. */
export function localFiles(cacheFolder: string, signal: AbortSignal): ContentDisk<LocalFile> {
  return {
    hashing,
    readSmall: ({ absolute, stamp }, into) => reading.readSmall(absolute, stamp, into),
    open: ({ absolute }) => reading.open(absolute),
    chunks: { memory: chunkMemory(cacheFolder), createChunker },
    pause: () => pause(signal),
  };
}

/** Lists of chunks of large files that were sent or identified. */
function chunkMemory(cacheFolder: string): ChunkMemory {
  return createChunkStore(fs, join(cacheFolder, 'chunks'), randomBytes(6).toString('hex'), hashing);
}

async function pause(signal: AbortSignal): Promise<void> {
  await yieldToOthers();
  signal.throwIfAborted();
}

export interface Identified {
  /** What was asked for: the content's name, or the SHA-256 of the whole. */
  readonly sha256: string;
  readonly size: number;
  readonly stamp: string;
}

/** Identifies files, and remembers for a while of what the largest are made: they are about to be sent. */
export interface Identifier {
  /** Null, and changes meanwhile: as with `sha256Of`. */
  identify(absolute: string, signal: AbortSignal): Promise<Identified | null>;
  made(absolute: string): Made | undefined;
}

const remembersFromBytes = 16 * 1024 * 1024;
/** What was written to so short a time before may be written to again and look the same. */
const racyMs = 2_000;

export function createIdentifier(): Identifier {
  const known = new Map<string, Made>();
  return {
    identify: async (absolute, signal) => {
      const began = Date.now();
      const read = await readThrough(absolute, signal, (source) => (source.size > smallFileBytes ? chunksOf(source) : bytesOf(source)));
      if (read === null) return null;
      const { list, ...identified } = read;
      const changedMs = Number(BigInt(read.stamp.split(':')[3] ?? 0) / 1_000_000n);
      const whole = list !== undefined && read.size >= remembersFromBytes && began - changedMs > racyMs ? chunkListOf(list, read.sha256, hashing) : null;
      if (whole !== null) known.set(absolute, { stamp: read.stamp, list: whole });
      return identified;
    },
    made: (absolute) => known.get(absolute),
  };
}

/** What the content is called: see content-id.ts. Null, and changes meanwhile: as with `sha256Of`. */
export async function identify(absolute: string, signal: AbortSignal): Promise<Identified | null> {
  return createIdentifier().identify(absolute, signal);
}

/** SHA-256 of the whole. Reads until the file stood still for one reading; of one that never does, the last reading. null: it isn't there any more. */
export async function sha256Of(absolute: string, signal: AbortSignal): Promise<Identified | null> {
  return readThrough(absolute, signal, bytesOf);
}

/** Takes some more; 0: that was all. */
interface Taking {
  readonly more: () => number;
  readonly id: () => string;
  /** Of what it is made, if that was found out. */
  readonly list?: () => Uint8Array;
}

const attempts = 3;
const yieldEvery = 8 * 1024 * 1024;
const pieceBytes = 256 * 1024;

async function readThrough(
  absolute: string,
  signal: AbortSignal,
  begin: (source: ContentSource) => Taking,
): Promise<(Identified & { readonly list?: Uint8Array }) | null> {
  for (let attempt = 1; ; attempt += 1) {
    const source = reading.open(absolute);
    if (source === null) return null;
    try {
      const stamp = source.stamp();
      const { more, id, list } = begin(source);
      let size = 0;
      let unseen = 0;
      for (let read = more(); read > 0; read = more()) {
        size += read;
        unseen += read;
        if (unseen < yieldEvery) continue;
        unseen = 0;
        await pause(signal);
      }
      if (attempt === attempts || source.stamp() === stamp) return { sha256: id(), size, stamp, ...(list === undefined ? {} : { list: list() }) };
    } finally {
      source.close();
    }
  }
}

function bytesOf(source: ContentSource): Taking {
  const piece = Buffer.allocUnsafe(Math.min(pieceBytes, source.size));
  const hash = hashing.start();
  return {
    more: () => {
      const read = source.read(piece);
      hash.update(piece.subarray(0, read));
      return read;
    },
    id: () => hash.hex(),
  };
}

function chunksOf(source: ContentSource): Taking {
  const next = createChunkReader(source.read, createChunker());
  const list = new ChunkListBuilder();
  return {
    more: () => {
      const chunk = next();
      if (chunk !== null) list.add(chunk.length, hashing.raw(chunk));
      return chunk?.length ?? 0;
    },
    id: () => list.id(hashing),
    list: () => list.bytes,
  };
}
