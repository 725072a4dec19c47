/**
 * Copies a folder that is being written to, so that what is here was there at one moment: a listing, the content, and a listing again;
 * what has changed in between is not taken. Equal files of the copy before do not travel. May import core, protocol and `node:`.
 */
import { cpSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isLog, isUnfinished } from '../protocol/checkpoint-folder.ts';
import { type PullItem, parentOf } from '../protocol/sync.ts';
import { listOutputs, type PullOptions, pullOutputs } from './pull.ts';

export interface SnapshotOptions extends Pick<PullOptions, 'open' | 'onReceived'> {
  /** The folder, relative to the workdir. */
  readonly path: string;
  /** Absolute: a folder of our own, which does not exist yet. The content goes below `path` in it. */
  readonly into: string;
  /** The copy before, made by this function; null: there is none. It is left as it is. */
  readonly before: string | null;
  readonly signal: AbortSignal;
}

export interface SnapshotOutcome {
  /** There is something in it that was not in the copy before. */
  readonly isNew: boolean;
  /** All of it was taken: nothing changed meanwhile. */
  readonly isWhole: boolean;
}

/** By path relative to the workdir: changes when the file does. */
type Marks = ReadonlyMap<string, string>;

const marksFile = 'marks.json';

/** Files directly in the folder belong together, and so do those of each folder in it: all of such a group are taken, or none. */
export async function pullSnapshot({ path, into, before, open, signal, onReceived }: SnapshotOptions): Promise<SnapshotOutcome> {
  const old = before === null ? new Map<string, string>() : readMarks(before);
  mkdirSync(into, { recursive: true, mode: 0o700 });
  const what = { open, paths: [path], pushedToo: true, signal };
  const first = marksOf(await listOutputs(what), path);
  const leaveOut = (item: PullItem) => (item.kind === 'dir' ? !isCheckpoint(item.path, path) : !first.has(item.path) || old.get(item.path) === markOf(item));
  await pullOutputs({ ...what, into, leaveOut, ...(onReceived === undefined ? {} : { onReceived }) });
  const last = marksOf(await listOutputs(what), path);
  const groups = new Set([...first.keys(), ...last.keys()].map((file) => groupOf(file, path)));
  const still = new Set([...groups].filter((group) => isSame(first, last, group, path)));
  const taken = new Map([...last].filter(([file]) => still.has(groupOf(file, path))));
  // What is still being written, and what is missing only because it is: as it was before.
  const kept = new Map([...old].filter(([file]) => groups.has(groupOf(file, path)) && !still.has(groupOf(file, path))));
  for (const file of [...first.keys(), ...last.keys()]) if (!still.has(groupOf(file, path))) rmSync(join(into, file), { force: true });
  const linked = [...taken].filter(([file, mark]) => old.get(file) === mark).map(([file]) => file);
  if (before !== null) for (const file of [...linked, ...kept.keys()]) linkOrCopy(join(before, file), join(into, file));
  const marks = new Map([...taken, ...kept]);
  writeFileSync(join(into, marksFile), JSON.stringify([...marks]), { mode: 0o600 });
  return { isNew: [...taken].some(([file, mark]) => old.get(file) !== mark), isWhole: still.size === groups.size };
}

function readMarks(snapshot: string): Marks {
  return new Map(JSON.parse(readFileSync(join(snapshot, marksFile), 'utf8')) as [string, string][]);
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
