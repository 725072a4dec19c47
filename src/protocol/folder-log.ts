/**
 * The file that records of folders are kept in: what changes is written behind what is there, so that an edit costs what it changed. Read as
 * a whole; what follows the last complete entry doesn't count. Imports its own folder only.
 *
 *   file   = "gpurunF1" | frame*
 *   frame  = u32 kind | u32 length of the path | u32 length of the data | u32 CRC-32 of all the others | path and data, each filled up to 8 bytes
 *   kinds  = 1: the record of a folder, 2: that folder is gone, 3: JSON about all of it; what stands before it counts from then on
 */
import type { Crc32 } from './crc32.ts';

export interface FolderLog {
  /** By path. In the order in which they came into the file. */
  readonly folders: ReadonlyMap<string, Uint8Array>;
  /** What was said last about all of it. */
  readonly about: unknown;
  /** How much of the file counts; the rest is of a write that was cut. */
  readonly soundBytes: number;
}

const head = new TextEncoder().encode('gpurunF1');
const frameBytes = 16;
const folderKind = 1;
const goneKind = 2;
const aboutKind = 3;
const nothing: FolderLog = { folders: new Map(), about: null, soundBytes: 0 };
const encoder = new TextEncoder();
const decoder = new TextDecoder();

interface LogFrame {
  readonly kind: number;
  readonly path: string;
  readonly data: Uint8Array;
  readonly end: number;
}

/** Never throws: of a damaged or other file nothing counts. The records are views of `file`. */
export function readLog(file: Uint8Array, crc32: Crc32): FolderLog {
  if (file.length < head.length || head.some((byte, at) => file[at] !== byte)) return nothing;
  const folders = new Map<string, Uint8Array>();
  let log = { ...nothing, folders };
  let pending: LogFrame[] = [];
  for (let frame = readFrame(file, head.length, crc32); frame !== null; frame = readFrame(file, frame.end, crc32)) {
    if (frame.kind !== aboutKind) {
      pending.push(frame);
      continue;
    }
    for (const { kind, path, data } of pending) {
      folders.delete(path);
      if (kind === folderKind) folders.set(path, data);
    }
    pending = [];
    log = { ...log, about: parseJson(frame.data), soundBytes: frame.end };
  }
  return log;
}

function readFrame(file: Uint8Array, at: number, crc32: Crc32): LogFrame | null {
  if (at + frameBytes > file.length) return null;
  const view = new DataView(file.buffer, file.byteOffset + at, frameBytes);
  const pathBytes = view.getUint32(4, true);
  const dataBytes = view.getUint32(8, true);
  const dataAt = at + frameBytes + filled(pathBytes);
  const end = dataAt + filled(dataBytes);
  if (end > file.length) return null;
  const path = file.subarray(at + frameBytes, at + frameBytes + pathBytes);
  const data = file.subarray(dataAt, dataAt + dataBytes);
  if (crc32(data, crc32(path, crc32(file.subarray(at, at + 12)))) !== view.getUint32(12, true)) return null;
  return { kind: view.getUint32(0, true), path: decoder.decode(path), data, end };
}

function parseJson(data: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(data));
  } catch {
    return null;
  }
}

/** Below this much a file is not written anew only because most of it doesn't count any more. */
const smallBytes = 1024 * 1024;

/** What is to be written: all of it to a new file, where there is none or most of it would not count any more; else what changed, behind what is there. */
export function planLog(
  before: Pick<FolderLog, 'folders' | 'soundBytes'>,
  folders: ReadonlyMap<string, Uint8Array>,
): { readonly anew: boolean; readonly changes: readonly (readonly [string, Uint8Array | null])[] } {
  const changes: [string, Uint8Array | null][] = [];
  let [all, changed] = [0, 0];
  for (const path of before.folders.keys()) if (!folders.has(path)) changes.push([path, null]);
  for (const [path, bytes] of folders) {
    all += bytes.length;
    const known = before.folders.get(path);
    if (known === bytes || (known !== undefined && isEqual(known, bytes))) continue;
    changes.push([path, bytes]);
    changed += bytes.length;
  }
  const anew = before.soundBytes === 0 || before.soundBytes + changed > 1.5 * all + smallBytes;
  return { anew, changes: anew ? [...folders] : changes };
}

function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  for (let at = 0; at < one.length; at += 1) if (one[at] !== other[at]) return false;
  return true;
}

/** Pieces to write one behind the other: behind the sound part of a file, or (`anew`) as a file. A folder of null is gone. */
export function* writeLog(changes: Iterable<readonly [string, Uint8Array | null]>, about: unknown, anew: boolean, crc32: Crc32): Generator<Uint8Array> {
  if (anew) yield head;
  for (const [path, data] of changes) yield* frame(data === null ? goneKind : folderKind, path, data ?? new Uint8Array(0), crc32);
  yield* frame(aboutKind, '', encoder.encode(JSON.stringify(about)), crc32);
}

const pieceBytes = 256 * 1024;

/** The same bytes in fewer pieces. Each is only there until the next one is asked for: a million entries are not to lie in memory twice. */
export function* inPieces(pieces: Iterable<Uint8Array>): Generator<Uint8Array> {
  const piece = new Uint8Array(pieceBytes);
  let used = 0;
  for (const bytes of pieces) {
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + pieceBytes - used);
      piece.set(part, used);
      at += part.length;
      used += part.length;
      if (used < pieceBytes) continue;
      yield piece;
      used = 0;
    }
  }
  if (used > 0) yield piece.subarray(0, used);
}

function* frame(kind: number, path: string, data: Uint8Array, crc32: Crc32): Generator<Uint8Array> {
  const name = encoder.encode(path);
  const start = new Uint8Array(frameBytes + filled(name.length));
  const view = new DataView(start.buffer);
  view.setUint32(0, kind, true);
  view.setUint32(4, name.length, true);
  view.setUint32(8, data.length, true);
  view.setUint32(12, crc32(data, crc32(name, crc32(start.subarray(0, 12)))), true);
  start.set(name, frameBytes);
  yield start;
  yield data;
  if (data.length % 8 !== 0) yield new Uint8Array(filled(data.length) - data.length);
}

function filled(length: number): number {
  return Math.ceil(length / 8) * 8;
}
