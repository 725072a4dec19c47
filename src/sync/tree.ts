/** A source as it is now: walked, contents identified, kept packed folder by folder. May import core, protocol and `node:`. */
import { createHash } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { systemErrorCode } from '../core/errors.ts';
import { type Look, PackedFolder, packFolder, type Row } from '../protocol/packed-folder.ts';
import type { Made } from '../protocol/send-records.ts';
import type { Entry, FileEntry } from '../protocol/sync.ts';
import { folderMark, TreeDigest } from '../protocol/tree-digest.ts';
import { entryOfRow, findMoved, type HeldFolders, heldFlags, isFileRow, isRacy } from './held.ts';
import { createIdentifier, type Identifier } from './local-file.ts';
import { absoluteOf, type ScanNotes, type ScannedFolder, type ScanOptions, sourceTop, toMicroseconds, walkSource } from './scan.ts';

export interface Tree {
  readonly digest: string;
  readonly files: number;
  readonly bytes: number;
  /** By path, parents first. Folders that hold nothing are none. */
  readonly folders: HeldFolders;
  /** In order: all that is in one folder, then folder by folder what is in them. Each is made anew. */
  entries(): Iterable<Entry>;
  absolute(path: string): string;
  /** Of what a large file is made that was just identified; undefined: unknown. */
  made(path: string): Made | undefined;
}

/** Milliseconds of walking at a time: a connection is being made meanwhile. */
const walkAtOnceMs = 15;

/** `held`: of an earlier walk. @throws GpuRunError `bad-input` as `scan`; the system's errors */
export async function readTree(options: ScanOptions, held: HeldFolders, notes: ScanNotes, signal: AbortSignal): Promise<Tree> {
  const folders = new Map<string, Uint8Array>();
  const top = sourceTop(options);
  const digest = new TreeDigest();
  const identifier = createIdentifier();
  const identifying: Identifying = {
    place: (path) => absoluteOf(path, top, options),
    moved: findMoved(held),
    unreadable: notes.unreadable,
    signal,
    identify: identifier.identify,
  };
  let [files, bytes, began] = [0, 0, performance.now()];
  for (const scanned of walkSource(options, held, notes)) {
    if (performance.now() - began > walkAtOnceMs) {
      await yieldToOthers();
      began = performance.now();
    }
    signal.throwIfAborted();
    const packed = await pack(scanned, held.get(scanned.path), identifying);
    if (packed.count === 0) continue;
    folders.set(scanned.path, packed.bytes);
    digest.toggle(packed.mark);
    files += packed.files;
    bytes += packed.contentBytes;
  }
  const absolute = (path: string) => absoluteOf(path, top, options);
  return treeOf({ digest: digest.hex, files, bytes, folders }, absolute, (path) => identifier.made(absolute(path)));
}

export function treeOf(facts: Pick<Tree, 'digest' | 'files' | 'bytes' | 'folders'>, absolute: Tree['absolute'], made: Tree['made']): Tree {
  return { ...facts, entries: () => entriesOf(facts.folders), absolute, made };
}

export interface Identifying {
  readonly identify: Identifier['identify'];
  readonly place: (path: string) => string;
  readonly moved: ReturnType<typeof findMoved>;
  readonly unreadable: string[];
  readonly signal: AbortSignal;
}

export async function pack({ path, rows }: ScannedFolder, held: Uint8Array | undefined, identifying: Identifying): Promise<PackedFolder> {
  if (rows === null && held !== undefined) return new PackedFolder(held);
  const known: Row[] = [];
  for (const row of rows ?? []) {
    const whole = isFileRow(row) && row.sha256 === null ? await identified(row, path, identifying) : row;
    if (whole !== null) known.push(whole);
  }
  const mark = folderMark(
    path,
    known.map((row) => entryOfRow(path, row)),
    (text) => createHash('sha256').update(text).digest(),
  );
  const packed = packFolder(known, isFileRow, mark);
  // What was skipped each time is no change.
  return new PackedFolder(held !== undefined && Buffer.compare(held, packed) === 0 ? held : packed);
}

/** null: it vanished since the walk, or can't be read. */
async function identified(row: Row, folder: string, { place, moved, unreadable, signal, identify }: Identifying): Promise<Row | null> {
  const { path } = entryOfRow(folder, row);
  const readFromMs = Date.now();
  const from = moved(row);
  const known = from !== null && lstatSync(place(from.path), { throwIfNoEntry: false })?.ino !== row.look.ino ? from.sha256 : null;
  if (known !== null) return { ...row, flags: row.flags | (isRacy(row.look, readFromMs) ? 0 : heldFlags.known), sha256: known };
  try {
    const read = await identify(place(path), signal);
    if (read === null) return null;
    const look = { ...lookOfStamp(read.stamp), mode: row.look.mode };
    const isHeld = read.size === look.size && !isRacy(look, readFromMs);
    // What was read counts, should it have changed again: a file that looks otherwise is read the next time.
    const flags = isHeld ? row.flags | heldFlags.known : row.flags & ~heldFlags.known;
    return { ...row, flags, mtime: toMicroseconds(look.mtimeMs), look: { ...look, size: read.size }, sha256: read.sha256 };
  } catch (error) {
    if (systemErrorCode(error) !== 'EACCES' && systemErrorCode(error) !== 'EPERM') throw error;
    unreadable.push(path);
    return null;
  }
}

/** The numbers that `lstat` gives of it. */
export function lookOfStamp(stamp: string): Omit<Look, 'mode'> {
  const [ino = '0', size = '0', mtimeNs = '0', ctimeNs = '0'] = stamp.split(':');
  return { ino: Number(ino), size: Number(size), mtimeMs: msOf(BigInt(mtimeNs)), ctimeMs: msOf(BigInt(ctimeNs)) };
}

/** As Node makes them of seconds and nanoseconds: the same doubles. */
function msOf(nanoseconds: bigint): number {
  const seconds = nanoseconds / 1_000_000_000n;
  return Number(seconds) * 1000 + Number(nanoseconds - seconds * 1_000_000_000n) / 1e6;
}

function* entriesOf(folders: HeldFolders): Generator<Entry> {
  for (const [path, bytes] of folders) for (const row of new PackedFolder(bytes).rows()) yield entryOfRow(path, row);
}

/** Files by their places among the entries. */
export function pickFiles(tree: Tree, indices: Iterable<number>): Map<number, FileEntry> {
  const wanted = new Set(indices);
  const picked = new Map<number, FileEntry>();
  let first = 0;
  for (const [path, bytes] of tree.folders) {
    const packed = new PackedFolder(bytes);
    for (let row = 0; row < packed.count; row += 1) {
      if (!wanted.has(first + row)) continue;
      const entry = entryOfRow(path, packed.row(row));
      if (entry.kind === 'file') picked.set(first + row, entry);
    }
    first += packed.count;
  }
  return picked;
}
