/** What differs between the manifest that a machine has and the one that it is to get, folder by folder. May import core, protocol and `node:`. */
import { PackedFolder, type Row, toHex } from '../protocol/packed-folder.ts';
import { type FolderChange, manifestLine, parentOf } from '../protocol/sync.ts';
import type { Base } from './base.ts';
import { entryOfRow, type HeldFolders } from './held.ts';

/** More than that is told as a whole manifest. The changes of one folder are one message. */
const mostEntries = 20_000;
const mostChars = 2 * 1024 * 1024;

/** `before`: what was held here when the tree was read; where a folder is as in the base, only what differs in it is told. null: too much differs. */
export function changesSince(base: Base, folders: HeldFolders, before: HeldFolders): readonly FolderChange[] | null {
  const marks = base.marks();
  const changes: FolderChange[] = [];
  const touched = new Set<string>();
  let entries = 0;
  for (const [path, bytes] of folders) {
    const packed = new PackedFolder(bytes);
    const known = marks.get(path);
    if (known === toHex(packed.mark)) continue;
    const change = folderChange(path, packed, known, before.get(path));
    entries += change.set.length + change.gone.length;
    if (entries > mostEntries) return null;
    changes.push(change);
    touched.add(path);
  }
  const emptied = [...marks.keys()].filter((path) => !folders.has(path) && isFolderIn(path, folders)).map((path) => ({ path, whole: true, set: [], gone: [] }));
  for (const { path } of emptied) touched.add(path);
  const all = withFolders([...changes, ...emptied], touched, folders);
  return all.some((change) => change.set.length + change.gone.length > 500 && JSON.stringify(change).length > mostChars) ? null : all;
}

function folderChange(path: string, packed: PackedFolder, known: string | undefined, held: Uint8Array | undefined): FolderChange {
  const old = held === undefined ? null : new PackedFolder(held);
  const rows = [...packed.rows()];
  if (old === null || toHex(old.mark) !== known) return { path, whole: true, set: rows.map((row) => entryOfRow(path, row)), gone: [] };
  const before = new Map([...old.rows()].map((row) => [row.name, row]));
  const names = new Set(rows.map(({ name }) => name));
  return {
    path,
    whole: false,
    set: rows.filter((row) => differs(path, row, before.get(row.name))).map((row) => entryOfRow(path, row)),
    gone: [...before.keys()].filter((name) => !names.has(name)),
  };
}

function differs(path: string, row: Row, before: Row | undefined): boolean {
  return before === undefined || manifestLine(entryOfRow(path, row)) !== manifestLine(entryOfRow(path, before));
}

function isFolderIn(path: string, folders: HeldFolders): boolean {
  if (path === '') return true;
  return rowOf(path, folders) !== null;
}

/** Of a folder, where it is one. */
function rowOf(path: string, folders: HeldFolders): Row | null {
  const bytes = folders.get(parentOf(path));
  if (bytes === undefined) return null;
  const packed = new PackedFolder(bytes);
  const at = packed.names.indexOf(path.slice(path.lastIndexOf('/') + 1));
  const row = at < 0 ? null : packed.row(at);
  return row !== null && entryOfRow(parentOf(path), row).kind === 'dir' ? row : null;
}

/** A folder in which something changes gets its time anew: it has to be named. Parents come first. */
function withFolders(changes: readonly FolderChange[], touched: ReadonlySet<string>, folders: HeldFolders): FolderChange[] {
  const byPath = new Map(changes.map((change) => [change.path, change]));
  for (const path of touched) {
    const parent = parentOf(path);
    const row = path === '' ? null : rowOf(path, folders);
    if (row === null) continue;
    const change = byPath.get(parent) ?? { path: parent, whole: false, set: [], gone: [] };
    if (!change.set.some((entry) => entry.path === path)) byPath.set(parent, { ...change, set: [...change.set, entryOfRow(parent, row)] });
  }
  return [...byPath.values()].sort((one, other) => one.path.split('/').length - other.path.split('/').length || (one.path < other.path ? -1 : 1));
}
