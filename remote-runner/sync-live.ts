/**
 * What one connection remembers of the sources that were pushed over it, and whether all of it is still as it was left: their folders are
 * watched. Nothing counts that was not looked at after the watch began. May import protocol and `node:`.
 */
import { lstatSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { PackedFolder } from '../src/protocol/packed-folder.ts';
import type { Changes, WatchedFolders } from '../src/protocol/watched-folders.ts';
import { look, openWorkdir, type Workdir } from './sync-disk.ts';
import { identify } from './sync-plan.ts';
import type { SyncState } from './sync-state.ts';
import { lookAtAll } from './sync-untouched.ts';
import { heardSoFar, hearsAll, watchFolders } from './sync-watch.ts';

interface Remembered {
  readonly state: SyncState;
  /** How the state's file looked: another connection may have written it since. */
  readonly stamp: string;
  readonly workdir: Workdir;
  readonly folders: WatchedFolders;
  /** Which folders they are. */
  readonly inodes: Map<string, number>;
  /** False: it is not as it was left, or that can't be told. */
  readonly untouched: Promise<boolean>;
}

/** More are not watched: inotify has some 8,000 to 65,000 watches for all of a user's programs. */
const mostFolders = 6_000;
/** What a memory map or another name of a file has changed is not heard of: after so long all is looked at again. Milliseconds. */
const provenForMs = 300_000;

export class LiveSources {
  readonly #sources = new Map<string, Remembered>();
  readonly #closing = new AbortController();
  readonly #lookedAt = new Map<string, number>();

  /** The state as it was left by the last push of this source over this connection, if nothing of it has changed; null: load it, and look. Asked under the source's lock. */
  async recall(source: string, stateFile: string): Promise<SyncState | null> {
    const known = this.#sources.get(source);
    if (known === undefined) return null;
    const isOld = performance.now() - (this.#lookedAt.get(source) ?? 0) > provenForMs;
    if (!isOld && stampOf(stateFile) === known.stamp && (await known.untouched) && (await this.#isQuiet(known))) return known.state;
    this.#forget(source);
    return null;
  }

  /** All of it is there, as far as the push knows. Looks for itself, later. */
  remember(source: string, stateFile: string, state: SyncState, top: string): void {
    const before = this.#sources.get(source);
    const places = new Set(['', ...state.placed.folders.keys()]);
    if (state.digest === null || state.untold.length > 0 || places.size > mostFolders || !hearsAll(top)) {
      this.#forget(source);
      return;
    }
    const workdir = before?.workdir ?? openWorkdir(top);
    const folders =
      before?.folders ??
      watchFolders(
        (folder) => join(top, folder),
        () => {},
      );
    const known = { state, stamp: stampOf(stateFile), workdir, folders, inodes: before?.inodes ?? new Map<string, number>() };
    const untouched = before === undefined ? this.#lookAtAll(source, known, places) : this.#lookAtNew({ ...known, untouched: before.untouched }, places);
    this.#sources.set(source, { ...known, untouched: untouched.catch(() => false) });
  }

  close(): void {
    this.#closing.abort();
    for (const source of [...this.#sources.keys()]) this.#forget(source);
  }

  #forget(source: string): void {
    this.#sources.get(source)?.folders.close();
    this.#sources.delete(source);
  }

  async #lookAtAll(source: string, known: Omit<Remembered, 'untouched'>, places: ReadonlySet<string>): Promise<boolean> {
    await heardSoFar(); // the answer leaves first
    for (const folder of places) watchOne(folder, known);
    this.#lookedAt.set(source, performance.now());
    return (await lookAtAll(known.state.placed.copy(), known.workdir, this.#closing.signal)) !== null;
  }

  /** It was untouched when the push began; what the push itself has done was heard of, but for what lies in new folders. */
  async #lookAtNew(known: Remembered, places: ReadonlySet<string>): Promise<boolean> {
    const { folders } = known;
    await heardSoFar();
    folders.keep(places);
    const added = [...places].filter((folder) => !folders.has(folder));
    for (const folder of added) watchOne(folder, known);
    if (!(await known.untouched)) return false;
    return (await this.#isQuiet(known)) && (await this.#areAsLeft(new Map(added.map((folder) => [folder, null])), known));
  }

  /** Whatever was heard of is as it was left, or not ours. */
  async #isQuiet(known: Remembered): Promise<boolean> {
    await heardSoFar();
    const changes = known.folders.take();
    return changes !== null && (await this.#areAsLeft(changes, known));
  }

  async #areAsLeft(changes: Changes, known: Remembered): Promise<boolean> {
    const { placed } = known.state;
    for (const [folder, names] of changes) {
      const bytes = placed.folders.get(folder);
      if (bytes === undefined) continue;
      const ours = new Set(new PackedFolder(bytes).names);
      for (const name of names ?? ours) {
        if (ours.has(name) && !(await isAsLeft(folder === '' ? name : `${folder}/${name}`, known, this.#closing.signal))) return false;
      }
    }
    return true;
  }
}

async function isAsLeft(path: string, { state, workdir, inodes }: Remembered, signal: AbortSignal): Promise<boolean> {
  const placed = state.placed.get(path);
  const absolute = workdir.absolute(path);
  const seen = look(absolute);
  if (placed === undefined || seen === null || seen.fingerprint !== placed.fingerprint) return false;
  if (seen.kind === 'dir') return !inodes.has(path) || inodes.get(path) === inodeOf(absolute); // another one is one that nobody watches
  if (placed.settled) return true;
  const { id } = await identify(absolute, seen, placed, '', signal);
  return id !== null && (id === placed.found || placed.ours.includes(id));
}

function watchOne(folder: string, { folders, inodes, workdir }: Pick<Remembered, 'folders' | 'inodes' | 'workdir'>): void {
  const inode = inodeOf(workdir.absolute(folder));
  folders.watch(folder);
  if (inode === null) inodes.delete(folder);
  else inodes.set(folder, inode);
}

function inodeOf(absolute: string): number | null {
  return lstatSync(absolute, { throwIfNoEntry: false })?.ino ?? null;
}

function stampOf(file: string): string {
  const stats = statSync(file, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? 'none' : `${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`;
}
