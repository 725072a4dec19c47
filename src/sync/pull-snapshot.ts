/**
 * Copies a folder that is being written to, so that what is here was there at one moment: a listing, the content, and a listing again;
 * what has changed in between is not taken. Equal files of the copy before do not travel. May import core, protocol and `node:`.
 */
import { cpSync, existsSync, linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { deepestCheckpoint, isLog, isUnfinished } from '../protocol/checkpoint-folder.ts';
import { type PullItem, parentOf } from '../protocol/sync.ts';
import { listOutputs, type PullOptions, pullOutputs } from './pull.ts';

export interface SnapshotOptions extends Pick<PullOptions, 'open' | 'onReceived'> {
  /** The folder, relative to the workdir. */
  readonly path: string;
  /** Absolute: a folder of our own, which does not exist yet. The content goes below `path` in it. */
  readonly into: string;
  /** The copy before, made by this function; null: there is none. It is left as it is. */
  readonly before: string | null;
  /** Absolute: a folder of our own for what has come and could not be used yet, so that it need not come again. It may not exist. */
  readonly aside: string;
  /**
   * By path relative to the workdir, of a group or of a file directly in the folder: what was last written to no later than then, milliseconds
   * since the epoch, is complete. Other groups are not taken. null: all are complete.
   */
  readonly complete: ReadonlyMap<string, number> | null;
  readonly signal: AbortSignal;
}

export interface SnapshotOutcome {
  /** There is something in it that was not in the copy before. */
  readonly isNew: boolean;
  /** All that is complete now was taken: nothing of it changed meanwhile. */
  readonly isWhole: boolean;
  /** Files that did, relative to the workdir. */
  readonly changed: readonly string[];
}

/** By path relative to the workdir: changes when the file does. */
type Marks = ReadonlyMap<string, string>;

const marksFile = 'marks.json';

/** Files directly in the folder belong together, and so do those of each folder in it: all of such a group are taken, or none. */
export async function pullSnapshot(options: SnapshotOptions): Promise<SnapshotOutcome> {
  const { path, into, before, aside, complete, open, signal, onReceived } = options;
  const what = { open, paths: [path], pushedToo: true, signal };
  const old = before === null ? new Map<string, string>() : readMarks(before);
  const earlier = await listOutputs(what);
  const first = marksOf(earlier, path);
  const offered = completeGroups(earlier, path, complete);
  const spare = keepOnly(aside, readMarks(aside), first);
  const isHere = (file: string) => old.get(file) === first.get(file) || spare.has(file);
  const isWanted = (item: PullItem) => offered.has(groupOf(item.path, path)) && first.get(item.path) === markOf(item) && !isHere(item.path);
  const leaveOut = (item: PullItem) => (item.kind === 'dir' ? !isCheckpoint(item.path, path) : !isWanted(item));
  await pullOutputs({ ...what, into: aside, leaveOut, ...(onReceived === undefined ? {} : { onReceived }) });
  const later = await listOutputs(what);
  const last = marksOf(later, path);
  const still = new Set([...offered].filter((group) => isSame(first, last, group, path)));
  const inGroup = (groups: ReadonlySet<string>) => (file: string) => groups.has(groupOf(file, path));
  const come = new Map([...last].filter(([file, mark]) => first.get(file) === mark && isThere(aside, file)));
  // Without what leads out of the folder, and git's own: that did not come.
  const taken = new Map([...last].filter(([file, mark]) => inGroup(still)(file) && (old.get(file) === mark || come.has(file))));
  // What is still being written, and what is missing only because it is: as it was before.
  const present = new Set([...first.keys(), ...last.keys()].map((file) => groupOf(file, path)));
  const kept = new Map([...old].filter(([file]) => inGroup(present)(file) && !inGroup(still)(file)));
  mkdirSync(into, { recursive: true, mode: 0o700 });
  for (const file of [...taken.keys(), ...kept.keys()]) linkOrCopy(join(come.has(file) && taken.has(file) ? aside : (before ?? aside), file), join(into, file));
  writeMarks(into, new Map([...taken, ...kept]));
  keepOnly(aside, new Map([...come].filter(([file]) => !taken.has(file))), last);
  const all = [...new Set([...first.keys(), ...last.keys()])];
  return {
    isNew: [...taken].some(([file, mark]) => old.get(file) !== mark),
    isWhole: [...completeGroups(later, path, complete)].every((group) => still.has(group)),
    changed: all.filter((file) => inGroup(offered)(file) && !inGroup(still)(file) && first.get(file) !== last.get(file)),
  };
}

/** Of what is there: what is missing did not come, or was put there by an older gpu-run. */
function readMarks(folder: string): Marks {
  const file = join(folder, marksFile);
  if (!existsSync(file)) return new Map();
  return new Map((JSON.parse(readFileSync(file, 'utf8')) as [string, string][]).filter(([path]) => isThere(folder, path)));
}

function writeMarks(folder: string, marks: Marks): void {
  writeFileSync(join(folder, marksFile), JSON.stringify([...marks]), { mode: 0o600 });
}

/** Leaves in a folder of ours those files alone that are still like that on the machine. */
function keepOnly(folder: string, marks: Marks, there: Marks): Marks {
  const good = new Map([...marks].filter(([file, mark]) => there.get(file) === mark));
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeMarks(folder, good);
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    const file = join(entry.parentPath, entry.name);
    if (!entry.isDirectory() && relative(folder, file) !== marksFile && !good.has(relative(folder, file))) rmSync(file, { force: true });
  }
  return good;
}

function isThere(folder: string, file: string): boolean {
  return lstatSync(join(folder, file), { throwIfNoEntry: false }) !== undefined;
}

/** Groups of what was listed that nobody writes to any more. */
function completeGroups(items: readonly PullItem[], folder: string, complete: SnapshotOptions['complete']): ReadonlySet<string> {
  const newest = new Map<string, number>();
  const known = new Map<string, number>();
  for (const item of items) {
    if (item.kind === 'dir' || !isCheckpoint(item.path, folder)) continue;
    const group = groupOf(item.path, folder);
    const depth = item.path.slice(folder.length + 1).split('/').length;
    const writtenAt = item.kind === 'file' && depth <= deepestCheckpoint + 1 ? Math.floor(item.mtime / 1000) : 0;
    newest.set(group, Math.max(newest.get(group) ?? 0, writtenAt));
    const told = complete?.get(group === '' ? item.path : `${folder}/${group}`) ?? -1;
    known.set(group, Math.max(known.get(group) ?? -1, told, (group === '' ? complete?.get(folder) : undefined) ?? -1));
  }
  return new Set([...newest].flatMap(([group, at]) => (complete === null || at <= (known.get(group) ?? -1) ? [group] : [])));
}

/** Of files and links, but for what can be told by its name to be no checkpoint, or none yet. */
function marksOf(items: readonly PullItem[], folder: string): Marks {
  return new Map(items.flatMap((item) => (item.kind === 'dir' || !isCheckpoint(item.path, folder) ? [] : [[item.path, markOf(item)]])));
}

function isCheckpoint(path: string, folder: string): boolean {
  const [top = ''] = path.slice(folder.length + 1).split('/');
  return !isUnfinished(top) && !isLog(path.slice(path.lastIndexOf('/') + 1));
}

function markOf(item: PullItem): string {
  return item.kind === 'file' ? `${item.size} ${item.mtime}` : item.kind === 'link' ? `-> ${item.target}` : '';
}

/** Empty: directly in the folder. */
function groupOf(path: string, folder: string): string {
  return parentOf(path) === folder ? '' : (path.slice(folder.length + 1).split('/')[0] ?? '');
}

function isSame(one: Marks, other: Marks, group: string, folder: string): boolean {
  const own = (marks: Marks) => [...marks].filter(([file]) => groupOf(file, folder) === group);
  const ours = own(one);
  return ours.length === own(other).length && ours.every(([file, mark]) => other.get(file) === mark);
}

function linkOrCopy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  rmSync(to, { force: true });
  try {
    linkSync(from, to);
  } catch {
    cpSync(from, to, { verbatimSymlinks: true, preserveTimestamps: true });
  }
}
