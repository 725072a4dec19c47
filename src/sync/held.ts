/**
 * What is known of a source on this computer: its entries and their hashes, packed folder by folder, one file a source. A hash counts as long as
 * its file still looks the same. May import core, protocol and `node:`.
 */
import { createHash } from 'node:crypto';
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { smallFileBytes } from '../protocol/content-id.ts';
import { inPieces, planLog, readLog, writeLog } from '../protocol/folder-log.ts';
import { type Look, PackedFolder, type Row } from '../protocol/packed-folder.ts';
import type { Entry } from '../protocol/sync.ts';

/** Bits of a row. `known`: its hash belongs to a file that looks so; one that changed just before it was read could change again without looking different. */
export const heldFlags = { file: 1, dir: 2, link: 4, known: 8 } as const;

export type HeldFolders = ReadonlyMap<string, Uint8Array>;

export interface Held {
  readonly folders: HeldFolders;
  /** Of its file, what counts. */
  readonly soundBytes: number;
}

const version = 1;
const nothing: Held = { folders: new Map(), soundBytes: 0 };

/** `source`: what tells it from others. */
export function heldFile(cacheFolder: string, source: string): string {
  return join(cacheFolder, `${createHash('sha256').update(source).digest('hex').slice(0, 32)}.held`);
}

/** A missing, damaged or older file holds nothing. */
export function loadHeld(file: string): Held {
  try {
    const { folders, about, soundBytes } = readLog(readFileSync(file), crc32);
    return (about as { version?: unknown } | null)?.version === version ? { folders, soundBytes } : nothing;
  } catch {
    return nothing;
  }
}

/** What changed is written behind what is there. Two at a time may spoil the file, and that is none then. What can't be saved is no reason to fail. */
export function saveHeld(file: string, before: Held, folders: HeldFolders): void {
  const { anew, changes } = planLog(before, folders);
  if (changes.length === 0 && before.soundBytes > 0) return;
  const target = anew ? `${file}.${process.pid}.new` : file;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const fd = openSync(target, anew ? 'w' : 'r+', 0o600);
    try {
      writePieces(fd, anew ? 0 : before.soundBytes, writeLog(changes, { version }, anew, crc32));
    } finally {
      closeSync(fd);
    }
    if (anew) renameSync(target, file);
  } catch {
    if (anew) rmSync(target, { force: true });
  }
}

function writePieces(fd: number, from: number, pieces: Iterable<Uint8Array>): void {
  let at = from;
  ftruncateSync(fd, from);
  for (const piece of inPieces(pieces))
    for (let done = 0; done < piece.length; ) {
      const written = writeSync(fd, piece, done, piece.length - done, at);
      done += written;
      at += written;
    }
}

/** The clock's tick, or what a coarse file system keeps. Milliseconds. */
const tickMs = 100;
const coarseMs = 2000;

/**
 * `readFromMs`: when reading began. Git's racy rule. A large file whose own time is of long before its last change (it was renamed, say) is not
 * doubted: who writes to it gives it a new one.
 */
export function isRacy({ size, mtimeMs, ctimeMs }: Look, readFromMs: number): boolean {
  if (size > smallFileBytes && mtimeMs < ctimeMs - coarseMs && ctimeMs <= readFromMs) return false;
  return readFromMs - ctimeMs < (ctimeMs % 1000 === 0 ? coarseMs : tickMs);
}

/** A large file, as it was held at its path. */
export interface HeldLarge {
  readonly path: string;
  readonly sha256: string;
}

/**
 * Finds large files that may have been moved, without reading them: to move a file changes the time of its last change, so its hash does not count
 * as held, but neither its number, nor when it was made, nor when it was written to. Where the file system does not say when a file was made, none
 * is found. It was moved when nothing of that number is at the path any more.
 */
export function findMoved(folders: HeldFolders): (row: Row) => HeldLarge | null {
  let known: ReadonlyMap<string, HeldLarge> | null = null;
  return (row) => {
    if (!isLarge(row) || typeof row.extra !== 'number' || row.extra <= 0) return null;
    known ??= largeFiles(folders);
    return known.get(keyOf(row)) ?? null;
  };
}

function isLarge(row: Row): boolean {
  return isFileRow(row) && row.look.size > smallFileBytes;
}

function keyOf({ look, extra }: Row): string {
  return `${look.ino} ${look.size} ${look.mtimeMs} ${String(extra)}`;
}

function largeFiles(folders: HeldFolders): ReadonlyMap<string, HeldLarge> {
  const found = new Map<string, HeldLarge>();
  for (const [folder, bytes] of folders) {
    const packed = new PackedFolder(bytes);
    for (let at = 0; at < packed.count; at += 1) {
      if (packed.size(at) <= smallFileBytes || (packed.flags(at) & heldFlags.known) === 0) continue;
      const row = packed.row(at);
      if (isLarge(row) && row.sha256 !== null) found.set(keyOf(row), { path: entryOfRow(folder, row).path, sha256: row.sha256 });
    }
  }
  return found;
}

/** A row as an entry. */
export function entryOfRow(folder: string, { name, flags, mode, mtime, look, sha256, extra }: Row): Entry {
  const path = folder === '' ? name : `${folder}/${name}`;
  if ((flags & heldFlags.file) !== 0) return { kind: 'file', path, mode, mtime, size: look.size, sha256: sha256 ?? '' };
  return (flags & heldFlags.dir) !== 0 ? { kind: 'dir', path, mode, mtime } : { kind: 'link', path, target: String(extra) };
}

export function isFileRow({ flags }: Row): boolean {
  return (flags & heldFlags.file) !== 0;
}
