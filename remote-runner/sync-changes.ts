/**
 * A manifest that is told by what differs from the one that this machine has: what each folder gets, and what goes. Believed only when it ends in
 * the manifest that was announced. May import protocol and `node:`.
 */
import { createHash } from 'node:crypto';
import { FrameError } from '../src/protocol/frame.ts';
import { PackedFolder } from '../src/protocol/packed-folder.ts';
import type { Part } from '../src/protocol/peer.ts';
import { type Entry, type FolderChange, isWithin } from '../src/protocol/sync.ts';
import { parseFields, parseFolderChange, parseList } from '../src/protocol/sync-parse.ts';
import { folderMark, TreeDigest } from '../src/protocol/tree-digest.ts';
import { entryOf, type Placed, type Records, toPlaced } from './sync-records.ts';

export interface Wanted {
  /** To be put there, if it isn't; an entry's index is its place in here. */
  readonly entries: readonly Entry[];
  /** What earlier pushes may have placed and is in the manifest no more. */
  readonly gone: readonly (readonly [string, Placed])[];
  /** What is neither of these: as it is. */
  readonly stays: Records;
}

export async function receiveChanges(parts: AsyncIterator<Part>): Promise<FolderChange[]> {
  const changes: FolderChange[] = [];
  for (;;) {
    const { value: part, done } = await parts.next();
    if (done === true || part.kind !== 'event') throw new FrameError('the push ended before its changes did');
    const fields = parseFields(part.value);
    if (fields['type'] === 'changes-end') return changes;
    changes.push(...parseList(fields['changes'], parseFolderChange));
  }
}

/**
 * `base`: exactly the manifest that the changes start from. null: they lead to another one than was announced.
 * @throws FrameError when they make no tree
 */
export function applyChanges(changes: readonly FolderChange[], base: Records, announced: string): Wanted | null {
  const digest = new TreeDigest();
  for (const bytes of base.folders.values()) digest.toggle(new PackedFolder(bytes).mark);
  const drafted: Draft = { base, digest, stays: base.copy(), entries: [], gone: [], folders: new Set(), kinds: new Map() };
  for (const change of changes) applyChange(change, drafted);
  const { stays, entries, gone } = drafted;
  return digest.hex === announced ? { entries, gone, stays } : null;
}

interface Draft {
  readonly base: Records;
  readonly digest: TreeDigest;
  readonly stays: Records;
  readonly entries: Entry[];
  readonly gone: (readonly [string, Placed])[];
  /** Whose entries are known by now. */
  readonly folders: Set<string>;
  /** Of what the folders get. */
  readonly kinds: Map<string, Entry['kind']>;
}

function applyChange(change: FolderChange, draft: Draft): void {
  const { path, set } = change;
  const { base, digest, stays, entries, gone, folders, kinds } = draft;
  if (folders.has(path)) throw new FrameError(`the changes of ${JSON.stringify(path)} come twice, or after what took its place`);
  if (!isFolder(path, draft)) throw new FrameError(`there are changes in ${JSON.stringify(path)}, which is no folder`);
  folders.add(path);
  const old = base.folders.get(path);
  const before = rowsOf(path, old);
  const after = listAfter(change, before);
  if (old !== undefined) digest.toggle(new PackedFolder(old).mark);
  if (after.size > 0) {
    const sorted = [...after.values()].sort((one, other) => (one.path < other.path ? -1 : 1));
    digest.toggle(folderMark(path, sorted, sha256));
  }
  for (const [below, placed] of before) {
    const kind = after.get(below)?.kind;
    if (kind !== 'dir' && entryOf(below, placed)?.kind === 'dir') dropFolder(below, draft);
    if (kind !== undefined) continue;
    gone.push([below, placed]);
    stays.delete(below);
  }
  for (const entry of set) {
    if (kinds.has(entry.path)) throw new FrameError(`the path ${JSON.stringify(entry.path)} comes twice`);
    kinds.set(entry.path, entry.kind);
    stays.delete(entry.path);
    entries.push(entry);
  }
}

/** With all that is in it. */
function dropFolder(path: string, { base, digest, stays, gone, folders }: Draft): void {
  for (const [folder, bytes] of base.folders) {
    if (!isWithin(folder, path) || folders.has(folder)) continue;
    folders.add(folder);
    digest.toggle(new PackedFolder(bytes).mark);
    for (const [below, placed] of rowsOf(folder, bytes)) {
      stays.delete(below);
      gone.push([below, placed]);
    }
  }
}

function sha256(text: string): Uint8Array {
  return createHash('sha256').update(text).digest();
}

/** The workdir, one above a data target, or one that the manifest has or gets. */
function isFolder(path: string, { base, kinds }: Draft): boolean {
  const got = kinds.get(path);
  if (got !== undefined) return got === 'dir';
  const known = path === '' ? undefined : base.get(path);
  return path === '' || base.folders.has(path) || (known !== undefined && entryOf(path, known)?.kind === 'dir');
}

function rowsOf(folder: string, bytes: Uint8Array | undefined): Map<string, Placed> {
  const rows = bytes === undefined ? [] : [...new PackedFolder(bytes).rows()];
  return new Map(rows.map((row) => [folder === '' ? row.name : `${folder}/${row.name}`, toPlaced(row)]));
}

/** What the folder holds then, by path. */
function listAfter({ path, whole, set, gone }: FolderChange, before: ReadonlyMap<string, Placed>): Map<string, Entry> {
  const without = new Set(gone.map((name) => (path === '' ? name : `${path}/${name}`)));
  const list = new Map<string, Entry>();
  for (const [below, placed] of whole ? [] : before) {
    const entry = without.has(below) ? null : entryOf(below, placed);
    if (entry !== null) list.set(below, entry);
  }
  for (const entry of set) list.set(entry.path, entry);
  return list;
}
