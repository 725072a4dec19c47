/**
 * What earlier pushes of one source placed on this machine. May import protocol and `node:`.
 *
 * Saved twice a push: before anything is touched with all that may get placed (so that what a cut push left behind is
 * known as ours), and at the end with what is there. A lost or damaged state costs re-hashing and deletes nothing.
 */
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { isSettled } from './sync-disk.ts';
import { writeAll } from './write-all.ts';

export interface Placed {
  /** Content ids that we may have put there: one, or the old and the new of a push that was cut. */
  readonly ours: readonly string[];
  /** Content that was there already, equal to the source's. Never deleted by us. */
  readonly found: string | null;
  /** How it looked when its content was last known to be `ours[0]` or `found`; null: never seen so. */
  readonly fingerprint: string | null;
  /** False: it had changed so recently that the same fingerprint could hide a later change (git's racy rule). */
  readonly settled: boolean;
  /** As in the entry; for links 0. */
  readonly mtime: number;
}

export interface SyncState {
  /** Of the manifest that is completely there; null: the last push was cut, or left something out. */
  readonly digest: string | null;
  readonly placed: ReadonlyMap<string, Placed>;
  /** Folders to which pushes may have moved the machine's own files, and that no laptop has heard of yet. Absolute. */
  readonly untold: readonly string[];
}

const version = 2;
const empty: SyncState = { digest: null, placed: new Map(), untold: [] };

export function loadState(file: string): SyncState {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return empty;
  }
  try {
    const saved = JSON.parse(text) as { version: number; digest: string | null; placed: [string, Placed][]; untold: SyncState['untold'] };
    return saved.version === version ? { digest: saved.digest, placed: new Map(saved.placed), untold: saved.untold } : empty;
  } catch {
    return empty;
  }
}

export function saveState(file: string, state: SyncState): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const temporary = `${file}.new`;
  const fd = openSync(temporary, 'w', 0o600);
  try {
    writeAll(fd, Buffer.from(' ')); // the file's own change time is what the file system's clock says now
    const now = fstatSync(fd, { bigint: true }).ctimeNs;
    const placed = [...state.placed].map(([path, entry]) => [path, { ...entry, settled: entry.fingerprint !== null && isSettled(entry.fingerprint, now) }]);
    writeAll(fd, Buffer.from(JSON.stringify({ version, digest: state.digest, placed, untold: state.untold })));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, file);
}
