/**
 * How the receiving side looks at its own disk: never through links, content by SHA-256.
 * May import protocol and `node:`.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readlinkSync, readSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { ChunkListBuilder, createChunkReader } from '../src/protocol/chunk-list.ts';
import { createChunker } from '../src/protocol/chunker.ts';
import { smallFileBytes } from '../src/protocol/content-id.ts';
import { type Look, noLook } from '../src/protocol/packed-folder.ts';
import { fileId, parentOf } from '../src/protocol/sync.ts';
import { hashing } from './hashing.ts';
import { RunnerError } from './runner-error.ts';

export interface Seen {
  readonly kind: 'file' | 'dir' | 'link' | 'other';
  readonly size: number;
  readonly mode: number;
  /** Changes with everything that could have changed the content; only compared on this machine. */
  readonly fingerprint: string;
}

/** null: nothing is there. */
export function look(absolute: string): Seen | null {
  const stats = statsOf(absolute);
  return stats === null ? null : toSeen(stats);
}

/** null: nothing is there. */
export function statsOf(absolute: string): Stats | null {
  try {
    return lstatSync(absolute, { throwIfNoEntry: false }) ?? null; // an exception would cost ten times as much
  } catch (error) {
    if (errorCode(error) === 'ENOTDIR') return null;
    throw error;
  }
}

function toSeen(stats: Stats): Seen {
  const kind = stats.isFile() ? 'file' : stats.isDirectory() ? 'dir' : stats.isSymbolicLink() ? 'link' : 'other';
  return { kind, size: stats.size, mode: stats.mode & 0o777, fingerprint: fingerprintOf(kind, stats) };
}

/** What a folder holds is looked at piece by piece: its own times say nothing. */
export function fingerprintOf(kind: Seen['kind'], { ino, size, mtimeMs, ctimeMs, mode }: Look): string {
  return kind === 'dir' ? `dir:${mode & 0o777}` : `${kind}:${ino}:${size}:${mtimeMs}:${ctimeMs}:${mode & 0o777}`;
}

export function lookOf(fingerprint: string): Look {
  const [kind, ...numbers] = fingerprint.split(':');
  if (kind === 'dir') return { ...noLook, mode: Number(numbers[0]) };
  const [ino = 0, size = 0, mtimeMs = 0, ctimeMs = 0, mode = 0] = numbers.map(Number);
  return { ino, size, mtimeMs, ctimeMs, mode };
}

/** To read so much again takes time. */
const largeBytes = 1024 * 1024;

/**
 * A file's times can stand still for so long while its content changes: the clock's tick, or what a coarse file system keeps. A large file whose time
 * was set to long ago has settled at once: who writes to it gives it a new one.
 */
export function isSettled(fingerprint: string, nowMs: number): boolean {
  if (fingerprint.startsWith('dir:')) return true;
  const { size, mtimeMs, ctimeMs } = lookOf(fingerprint);
  if (size >= largeBytes && mtimeMs < ctimeMs - coarseMs && ctimeMs <= nowMs) return true;
  return ctimeMs < nowMs - (ctimeMs % 1000 === 0 ? coarseMs : tickMs);
}

const coarseMs = 2000;
const tickMs = 100;

/** Where a workdir-relative path lies, and whether the way there is made of folders only. */
export interface Workdir {
  readonly top: string;
  absolute(path: string): string;
  /** False when a parent is missing, or is a link or a file: nothing of ours can be behind it. */
  reaches(path: string): boolean;
}

export function openWorkdir(top: string): Workdir {
  const isFolder = (path: string): boolean => (path === '' ? true : isFolder(parentOf(path)) && look(join(top, path))?.kind === 'dir');
  return { top, absolute: (path) => join(top, path), reaches: (path) => isFolder(parentOf(path)) };
}

const yieldEvery = 1024 * 1024;

/** By what its content is called (see content-id.ts). Reads in steps, so that other calls go on in between. null: it changed or vanished meanwhile. */
export async function hashFile(absolute: string, signal: AbortSignal): Promise<{ readonly id: string; readonly seen: Seen } | null> {
  const read = await readThrough(absolute, signal, (fd, size) => (size > smallFileBytes ? chunksOf(fd) : bytesOf(fd, size)));
  return read === null ? null : { id: fileId(read.seen.size, read.sha256), seen: read.seen };
}

/** The SHA-256 of the whole, in the same way. */
export async function hashWhole(absolute: string, signal: AbortSignal): Promise<{ readonly sha256: string; readonly seen: Seen } | null> {
  return readThrough(absolute, signal, bytesOf);
}

/** `more` takes some more; 0: that was all. */
interface Taking {
  readonly more: () => number;
  readonly sha256: () => string;
}

async function readThrough(
  absolute: string,
  signal: AbortSignal,
  begin: (fd: number, size: number) => Taking,
): Promise<{ readonly sha256: string; readonly seen: Seen } | null> {
  let fd: number;
  try {
    fd = openSync(absolute, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ELOOP') return null;
    throw error;
  }
  try {
    const before = toSeen(fstatSync(fd));
    const { more, sha256 } = begin(fd, before.size);
    let [size, unseen] = [0, 0];
    for (let read = more(); read > 0; read = more()) {
      size += read;
      unseen += read;
      if (unseen < yieldEvery) continue;
      unseen = 0;
      await yieldToOthers();
      signal.throwIfAborted();
    }
    const after = toSeen(fstatSync(fd));
    return after.fingerprint === before.fingerprint && size === before.size ? { sha256: sha256(), seen: before } : null;
  } finally {
    closeSync(fd);
  }
}

function bytesOf(fd: number, size: number): Taking {
  const hash = hashing.start();
  const buffer = Buffer.allocUnsafe(Math.min(yieldEvery, Math.max(1, size)));
  return {
    more: () => {
      const read = readSync(fd, buffer);
      hash.update(buffer.subarray(0, read));
      return read;
    },
    sha256: () => hash.hex(),
  };
}

function chunksOf(fd: number): Taking {
  const next = createChunkReader((into) => readSync(fd, into), createChunker());
  const list = new ChunkListBuilder();
  return {
    more: () => {
      const chunk = next();
      if (chunk !== null) list.add(chunk.length, hashing.raw(chunk));
      return chunk?.length ?? 0;
    },
    sha256: () => list.id(hashing),
  };
}

/** null: it is no link any more, or its target isn't text. */
export function readTarget(absolute: string): string | null {
  try {
    const bytes = readlinkSync(absolute, 'buffer');
    const text = bytes.toString('utf8');
    return Buffer.from(text, 'utf8').equals(bytes) ? text : null;
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'EINVAL') return null;
    throw error;
  }
}

export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** What a failed file operation means to the person who pushed. */
export function toFailure(error: unknown): unknown {
  const code = errorCode(error);
  if (error instanceof RunnerError || code === undefined || !('syscall' in (error as object))) return error;
  const path = 'path' in (error as object) ? String((error as NodeJS.ErrnoException).path) : 'a file';
  if (code === 'ENOSPC' || code === 'EDQUOT') return new RunnerError('disk-full', `the machine's disk (or quota) became full while writing ${path}`);
  const why = explanations[code] ?? (error as Error).message;
  return new RunnerError('sync', `the machine can't work on ${path}: ${why}`);
}

const explanations: Readonly<Record<string, string>> = {
  EACCES: 'permission denied (EACCES)',
  EPERM: 'not permitted (EPERM)',
  EROFS: 'its file system is read-only (EROFS)',
  ENAMETOOLONG: 'the name is too long for its file system (ENAMETOOLONG)',
};
