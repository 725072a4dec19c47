/**
 * How the receiving side looks at its own disk: never through links, times to the nanosecond, content by SHA-256.
 * May import protocol and `node:`.
 */
import { createHash } from 'node:crypto';
import { type BigIntStats, closeSync, constants, fstatSync, lstatSync, openSync, readlinkSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { fileId, parentOf } from '../src/protocol/sync.ts';
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
  try {
    return toSeen(lstatSync(absolute, { bigint: true }));
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return null;
    throw error;
  }
}

function toSeen(stats: BigIntStats): Seen {
  const kind = stats.isFile() ? 'file' : stats.isDirectory() ? 'dir' : stats.isSymbolicLink() ? 'link' : 'other';
  const mode = Number(stats.mode & 0o777n);
  // What a folder holds is looked at piece by piece: its own times say nothing.
  const fingerprint = kind === 'dir' ? `dir:${mode}` : `${kind}:${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}:${mode}`;
  return { kind, size: Number(stats.size), mode, fingerprint };
}

/** A file's times can stand still for so long while its content changes: the clock's tick, or what a coarse file system keeps. */
export function isSettled(fingerprint: string, nowNs: bigint): boolean {
  const ctimeNs = fingerprint.split(':')[4];
  if (ctimeNs === undefined) return true; // a folder
  const coarse = BigInt(ctimeNs) % 1_000_000_000n === 0n;
  return BigInt(ctimeNs) < nowNs - (coarse ? 2_000_000_000n : 100_000_000n);
}

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

const hashChunk = 1024 * 1024;

/** Hashes in steps, so that other calls go on in between. null: it changed or vanished meanwhile. */
export async function hashFile(absolute: string, signal: AbortSignal): Promise<{ readonly id: string; readonly sha256: string; readonly seen: Seen } | null> {
  let fd: number;
  try {
    fd = openSync(absolute, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ELOOP') return null;
    throw error;
  }
  try {
    const before = toSeen(fstatSync(fd, { bigint: true }));
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(Math.min(hashChunk, Math.max(1, before.size)));
    let size = 0;
    for (let read = readSync(fd, buffer); read > 0; read = readSync(fd, buffer)) {
      hash.update(buffer.subarray(0, read));
      size += read;
      if (size % hashChunk !== 0) continue;
      await yieldToOthers();
      signal.throwIfAborted();
    }
    const after = toSeen(fstatSync(fd, { bigint: true }));
    if (after.fingerprint !== before.fingerprint || size !== before.size) return null;
    const sha256 = hash.digest('hex');
    return { id: fileId(size, sha256), sha256, seen: before };
  } finally {
    closeSync(fd);
  }
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
