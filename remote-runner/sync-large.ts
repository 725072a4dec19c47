/**
 * Large files that need not travel whole: an older version lies in their place, or a push that was cut has left the beginning. Both are
 * offered to the laptop, and everything that is taken from them is verified, chunk by chunk. May import protocol and `node:`.
 */
import fs, { closeSync, constants, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { type ChunkList, ChunkListBuilder, createChunkReader } from '../src/protocol/chunk-list.ts';
import { createChunkStore } from '../src/protocol/chunk-store.ts';
import { createChunker } from '../src/protocol/chunker.ts';
import { smallFileBytes } from '../src/protocol/content-id.ts';
import type { ChunkMemory } from '../src/protocol/send-records.ts';
import { type FileEntry, fileId, type Offer, parentOf, pathProblem } from '../src/protocol/sync.ts';
import type { FileDue } from '../src/protocol/sync-content.ts';
import { hashing } from './hashing.ts';
import { RunnerError } from './runner-error.ts';
import { type Applying, temporaryFor } from './sync-apply.ts';
import { errorCode, look } from './sync-disk.ts';
import type { Placement } from './sync-plan.ts';
import type { Placed } from './sync-records.ts';

export interface PlacementDue extends FileDue {
  readonly placement: Placement & { readonly entry: FileEntry };
}

export function dueOf(placement: PlacementDue['placement']): PlacementDue {
  const { index, entry } = placement;
  return { placement, index, announced: entry.sha256, most: mostOf(entry.size) };
}

/** A file may grow while it is sent; a laptop that says one size and sends another does not fill the disk. */
function mostOf(told: number): number {
  return Math.max(2 * told, told + 64 * 1024 * 1024);
}

/** Smaller files begin anew when a push is cut. */
const partFromBytes = 4 * 1024 * 1024;
const pauseBytes = 4 * 1024 * 1024;

/** The beginning of the file with this path, not looked at yet. */
interface Part {
  readonly path: string;
  readonly size: number;
}

/** An older version. */
interface Base {
  readonly absolute: string;
  readonly fingerprint: string;
  readonly id: string;
  readonly list: ChunkList;
}

export interface OpenBase {
  readonly list: ChunkList;
  read(into: Uint8Array, offset: number): void;
  spoiled(): Error;
  close(): void;
}

export interface Large {
  readonly memory: ChunkMemory;
  /** By index. */
  readonly bases: ReadonlyMap<number, Base>;
  /** What has come already of the file with this path. */
  readonly part: { readonly path: string; readonly list: ChunkListBuilder } | null;
  /** From now on a part of this file may be there. */
  notePart(path: string): void;
  /** There is none any more. */
  forgetPart(): void;
}

export function keepsPart(size: number): boolean {
  return size >= partFromBytes;
}

/** Looked at and written to only behind `temporaryFor`. */
export function partFor(path: string, applying: Applying): string {
  return join(applying.workdir.absolute(parentOf(path)), `${applying.temporary}.part`);
}

/** What a cut push has left of a file that is still to be placed; of any other it is cleared away. */
export function findPart(records: string, source: string, place: readonly Placement[], applying: Applying): Part | null {
  const record = recordOf(records, source);
  const path = readRecord(record);
  if (path === null || !applying.workdir.reaches(path)) return null;
  const isWanted = place.some(({ entry }) => entry.path === path && entry.kind === 'file' && keepsPart(entry.size));
  if (isWanted) return { path, size: look(partFor(path, applying))?.size ?? 0 };
  rmSync(`${temporaryFor(path, applying)}.part`, { force: true });
  rmSync(record, { force: true });
  return null;
}

function recordOf(records: string, source: string): string {
  return join(records, `${source}.part`);
}

function readRecord(record: string): string | null {
  try {
    const { path } = JSON.parse(readFileSync(record, 'utf8')) as { path: unknown };
    return typeof path === 'string' && pathProblem(path) === null ? path : null;
  } catch {
    return null;
  }
}

/** `placed`: what earlier pushes put there. */
export async function findLarge(
  files: readonly PlacementDue[],
  placed: { get(path: string): Placed | undefined },
  part: Part | null,
  { records, source, applying, signal }: { records: string; source: string; applying: Applying; signal: AbortSignal },
): Promise<Large> {
  const memory = createChunkStore(fs, join(records, 'chunks'), `${source}-${process.pid}`, hashing);
  const bases = new Map<number, Base>();
  for (const { index, placement } of files) {
    if (placement.entry.size <= smallFileBytes || placement.replaces === null) continue;
    const base = findBase(applying.workdir.absolute(placement.entry.path), placement.replaces, placed.get(placement.entry.path), memory);
    if (base !== null) bases.set(index, base);
  }
  const list = part === null ? null : await readPart(partFor(part.path, applying), signal);
  return {
    memory,
    bases,
    part: part === null || list === null ? null : { path: part.path, list },
    notePart: (path) => writeFileSync(recordOf(records, source), JSON.stringify({ path }), { mode: 0o600 }),
    forgetPart: () => rmSync(recordOf(records, source), { force: true }),
  };
}

/** Whether it really is that shows each chunk that is taken from it. */
function findBase(absolute: string, replaces: string, prior: Placed | undefined, memory: ChunkMemory): Base | null {
  const seen = look(absolute);
  if (seen?.kind !== 'file' || seen.fingerprint !== replaces || prior === undefined) return null;
  for (const candidate of [...prior.ours, ...(prior.found === null ? [] : [prior.found])]) {
    const id = candidate.slice(candidate.lastIndexOf(':') + 1);
    const list = candidate === fileId(seen.size, id) ? memory.known(id) : null;
    if (list !== null && list.size === seen.size) return { absolute, fingerprint: replaces, id, list };
  }
  return null;
}

/** All chunks but the last, which is not whole. null: there is nothing of use. */
async function readPart(absolute: string, signal: AbortSignal): Promise<ChunkListBuilder | null> {
  let fd: number;
  try {
    fd = openSync(absolute, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ELOOP') return null;
    throw error;
  }
  try {
    const next = createChunkReader((into) => readSync(fd, into), createChunker());
    const list = new ChunkListBuilder();
    let last: { length: number; digest: Uint8Array } | null = null;
    let unseen = 0;
    for (let chunk = next(); chunk !== null; chunk = next()) {
      if (last !== null) list.add(last.length, last.digest);
      last = { length: chunk.length, digest: hashing.raw(chunk) };
      unseen += chunk.length;
      if (unseen < pauseBytes) continue;
      unseen = 0;
      await yieldToOthers();
      signal.throwIfAborted();
    }
    return list.count === 0 ? null : list;
  } finally {
    closeSync(fd);
  }
}

export function offersOf(files: readonly PlacementDue[], { bases, part }: Large): Offer[] {
  return files.flatMap(({ index, placement }): Offer[] => {
    const base = bases.get(index)?.id ?? null;
    const own = part?.path === placement.entry.path ? { size: part.list.size, id: part.list.id(hashing) } : null;
    return base === null && own === null ? [] : [{ index, base, part: own }];
  });
}

/** @throws RunnerError when it is not what was offered any more */
export function openBase({ absolute, fingerprint, list }: Base): OpenBase {
  const spoiled = () => new RunnerError('sync', `${absolute} was changed on the machine during the push; push again`);
  if (look(absolute)?.fingerprint !== fingerprint) throw spoiled();
  const fd = openSync(absolute, constants.O_RDONLY | constants.O_NOFOLLOW);
  return {
    list,
    read: (into, offset) => {
      for (let at = 0; at < into.length; ) {
        const read = readSync(fd, into, at, into.length - at, offset + at);
        if (read === 0) throw spoiled();
        at += read;
      }
    },
    spoiled,
    close: () => closeSync(fd),
  };
}
