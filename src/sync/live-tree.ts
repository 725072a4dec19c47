/**
 * A tree that is kept: its folders are watched, and only those in which something has changed are looked at again. A change that asks for more
 * (folders that come and go, ignore files, what git tracks), and whatever can't be told, is a whole walk. May import core, protocol and `node:`.
 */
import { PackedFolder } from '../protocol/packed-folder.ts';
import { TreeDigest } from '../protocol/tree-digest.ts';
import type { Changes } from '../protocol/watched-folders.ts';
import { type HeldFolders, heldFlags } from './held.ts';
import { createIdentifier, type Identifier } from './local-file.ts';
import { gitFiles, looksOf, outerRuleFiles } from './rule-files.ts';
import type { FolderRules } from './rules.ts';
import { type Guide, rescan, type ScanNotes, type ScanOptions, sourceTop } from './scan.ts';
import { pack, readTree, type Tree, treeOf } from './tree.ts';
import { heardSoFar, hearsAll, watchFolders } from './watch-folders.ts';

export interface KeptTree {
  readonly tree: Tree;
  readonly notes: ScanNotes;
}

export interface LiveTree {
  /** As `readTree` would give it now. The same object as the last time: nothing has changed. @throws as `readTree` */
  current(held: HeldFolders, signal: AbortSignal): Promise<KeptTree>;
  /** Not every change is heard of: each time it is a walk. Known from the first one on. */
  readonly unsure: boolean;
  /** A walk next time, whatever is known. */
  doubt(): void;
  close(): void;
}

/** A folder that was walked, and in the words of the source what lies in it. */
interface Place {
  readonly absolute: string;
  readonly rules: FolderRules | null;
}

/** So many folders with changes are as well walked. */
const mostFolders = 200;

/** `onChange`: told of whatever may be a change. `walked`: of each whole walk. */
export function liveTree(options: ScanOptions, onChange: () => void, walked: () => void = () => {}): LiveTree {
  let top = '';
  let topLooks = '';
  let kept: KeptTree | null = null;
  let places = new Map<string, Place>();
  let ruleFiles: ReadonlyMap<string, string> = new Map();
  let mayTrust = true;
  const folders = watchFolders((folder) => (folder === '' ? top : `${top}/${folder}`), onChange);

  const walk = async (changes: Changes | null, held: HeldFolders, signal: AbortSignal): Promise<KeptTree> => {
    const before = kept;
    kept = null; // until it is whole
    const now = sourceTop(options);
    if (now !== top || changes === null) folders.restart();
    else for (const [folder, names] of changes) for (const name of names ?? []) folders.forget(inFolder(folder, name));
    top = now;
    topLooks = looksOf(top);
    mayTrust &&= topLooks.split(':').length === 2 && hearsAll(top); // a file alone is looked at as fast
    places = new Map();
    const files = mayTrust ? [...outerRuleFiles(top, options)] : [];
    const looks = new Map(files.map((file) => [file, looksOf(file)]));
    const guide: Guide = {
      enter: (folder) => mayTrust && folders.watch(folder),
      learn: (folder, absolute, rules, names) => {
        places.set(folder, { absolute, rules });
        if (rules !== null && names.includes('.git')) for (const file of gitFiles(absolute)) looks.set(file, looksOf(file));
      },
    };
    const notes: ScanNotes = { unreadable: [], warnings: [] };
    const tree = await readTree({ ...options, guide }, before?.tree.folders ?? held, notes, signal);
    ruleFiles = looks;
    folders.keep(new Set(places.keys()));
    walked();
    kept = { tree, notes };
    return kept;
  };

  return {
    get unsure() {
      return !mayTrust;
    },
    current: async (held, signal) => {
      await heardSoFar();
      const known = kept;
      const changes = folders.take();
      if (known === null || !mayTrust || changes === null) {
        const walkedNow = await walk(changes, held, signal);
        if (known !== null && mayTrust && changes === null) mayTrust = folders.size > 0 && !folders.isLost; // it can't be watched, or that was a flood
        return walkedNow;
      }
      const isSame = looksOf(top) === topLooks && [...ruleFiles].every(([file, looks]) => looksOf(file) === looks);
      const mended = isSame && known.notes.unreadable.length === 0 ? await mend(known, changes, options, places, signal) : null;
      kept = mended ?? (await walk(changes, held, signal));
      return kept;
    },
    doubt: () => {
      topLooks = '';
    },
    close: () => folders.close(),
  };
}

const rulesFiles: ReadonlySet<string> = new Set(['.git', '.gitignore', '.gpurunignore']);

/** null: it takes a walk. */
async function mend(
  known: KeptTree,
  changes: Changes,
  options: ScanOptions,
  places: ReadonlyMap<string, Place>,
  signal: AbortSignal,
): Promise<KeptTree | null> {
  if (changes.size === 0) return known;
  if (changes.size > mostFolders || takesWalk(changes, places)) return null;
  const { tree } = known;
  const folders = new Map(tree.folders);
  const digest = TreeDigest.of(tree.digest);
  const identifier = createIdentifier();
  let { files, bytes } = tree;
  let differs = false;
  for (const inside of withParents(changes)) {
    const seen = await lookAgain(inside, folders, { options, places, absolute: tree.absolute, identify: identifier.identify, signal });
    if (seen === null) return null;
    const { before, now, path } = seen;
    if (now.bytes === before.bytes) continue;
    folders.set(path, now.bytes);
    digest.toggle(before.mark);
    digest.toggle(now.mark);
    files += now.files - before.files;
    bytes += now.contentBytes - before.contentBytes;
    differs = true;
  }
  const made: Tree['made'] = (path) => identifier.made(tree.absolute(path));
  return differs ? { ...known, tree: treeOf({ digest: digest.hex, files, bytes, folders }, tree.absolute, made) } : known;
}

interface Mending {
  readonly options: ScanOptions;
  readonly places: ReadonlyMap<string, Place>;
  readonly absolute: Tree['absolute'];
  readonly identify: Identifier['identify'];
  readonly signal: AbortSignal;
}

/** Rules may have changed, or a folder. */
function takesWalk(changes: Changes, places: ReadonlyMap<string, Place>): boolean {
  for (const [folder, names] of changes) {
    if (names === null) return true;
    for (const name of names) if (rulesFiles.has(name) || places.has(inFolder(folder, name))) return true;
  }
  return false;
}

/** null: it takes a walk. */
async function lookAgain(
  inside: string,
  folders: HeldFolders,
  { options, places, absolute, identify, signal }: Mending,
): Promise<{ readonly path: string; readonly before: PackedFolder; readonly now: PackedFolder } | null> {
  const place = places.get(inside);
  const seen = place === undefined ? null : rescan(options, folders, { inside, ...place });
  if (seen === null) return null;
  const { path } = seen.scanned;
  const held = folders.get(path);
  if (held === undefined) return null; // it was empty
  const before = new PackedFolder(held);
  if (seen.folders.join('/') !== foldersIn(before)) return null;
  const notes: ScanNotes = { unreadable: [], warnings: [] };
  const now = await pack(seen.scanned, held, { identify, place: absolute, moved: () => null, unreadable: notes.unreadable, signal });
  return notes.unreadable.length > 0 || now.count === 0 ? null : { path, before, now };
}

/** What is in a folder changes the folder's own time. */
function withParents(changes: Changes): ReadonlySet<string> {
  const all = new Set<string>();
  for (const folder of changes.keys()) {
    all.add(folder);
    if (folder !== '') all.add(folder.slice(0, Math.max(0, folder.lastIndexOf('/'))));
  }
  return all;
}

function foldersIn(packed: PackedFolder): string {
  return packed.names.filter((_name, row) => (packed.flags(row) & heldFlags.dir) !== 0).join('/');
}

function inFolder(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`;
}
