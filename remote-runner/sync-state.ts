/**
 * What earlier pushes of one source placed on this machine. May import protocol and `node:`.
 *
 * Saved twice a push: before anything is touched with all that may get placed (so that what a cut push left behind is
 * known as ours), and at the end with what is there. A lost or damaged state costs re-hashing and deletes nothing.
 * What changed is written behind what is there; once too much of the file doesn't count any more, it is written anew.
 */
import { closeSync, fstatSync, ftruncateSync, mkdirSync, openSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { inPieces, planLog, readLog, writeLog } from '../src/protocol/folder-log.ts';
import { crc32 } from './checksum.ts';
import { Records } from './sync-records.ts';
import { writeAll } from './write-all.ts';

export interface SyncState {
  /** Of the manifest that is completely there; null: the last push was cut, or left something out. */
  readonly digest: string | null;
  readonly placed: Records;
  /** Folders to which pushes may have moved the machine's own files, and that no laptop has heard of yet. Absolute. */
  readonly untold: readonly string[];
  /** As it stands in its file. */
  readonly saved: Saved;
}

interface Saved {
  readonly folders: ReadonlyMap<string, Uint8Array>;
  readonly soundBytes: number;
}

const version = 3;
const unsaved: Saved = { folders: new Map(), soundBytes: 0 };

/** Names of the files end so. */
export const stateSuffix = '.state';

export function loadState(file: string): SyncState {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch {
    return { digest: null, placed: new Records(), untold: [], saved: unsaved };
  }
  const { folders, about, soundBytes } = readLog(bytes, crc32);
  const { version: found, digest, untold } = (about ?? {}) as { version?: unknown; digest?: unknown; untold?: unknown };
  if (found !== version || !Array.isArray(untold)) return { digest: null, placed: new Records(), untold: [], saved: unsaved };
  return {
    digest: typeof digest === 'string' ? digest : null,
    placed: new Records(folders),
    untold: untold.map(String),
    saved: { folders, soundBytes },
  };
}

/** Gives the state as it stands in its file now. Nothing of `state.placed` may be changed afterwards. */
export function saveState(file: string, state: SyncState): SyncState {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const { saved, placed, digest, untold } = state;
  placed.settle(clockBeside(file), saved.folders);
  const { anew, changes } = planLog(saved, placed.folders);
  const target = anew ? `${file}.new` : file;
  const fd = openSync(target, anew ? 'w' : 'r+', 0o600);
  let end = anew ? 0 : saved.soundBytes;
  try {
    ftruncateSync(fd, end);
    for (const piece of inPieces(writeLog(changes, { version, digest, untold }, anew, crc32))) {
      writeAll(fd, piece, end);
      end += piece.length;
    }
  } catch (error) {
    if (anew) rmSync(target, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
  if (anew) renameSync(target, file);
  return { ...state, saved: { folders: new Map(placed.folders), soundBytes: end } };
}

/** A file's own change time is what the file system's clock says now. Milliseconds. */
function clockBeside(file: string): number {
  const probe = `${file}.now`;
  const fd = openSync(probe, 'w', 0o600);
  try {
    return fstatSync(fd).ctimeMs;
  } finally {
    closeSync(fd);
    rmSync(probe, { force: true });
  }
}
