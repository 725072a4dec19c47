/** What a folder holds now, held against what was held of it. May import core, protocol and `node:`. */
import type { Stats } from 'node:fs';
import { type Look, noLook, PackedFolder, type Row } from '../protocol/packed-folder.ts';
import { heldFlags } from './held.ts';

export interface Comparison {
  /** The next entry is as it was held, and all before it were. */
  same(name: string, stats: Stats): { row(): Row } | null;
  /** What was held of an entry that is not, or that comes behind such a one. */
  known(name: string): Row | undefined;
  add(row: Row): void;
  /** null: all is as it was held. */
  rows(): readonly Row[] | null;
}

export function compareFolder(bytes: Uint8Array | undefined): Comparison {
  const held = bytes === undefined ? null : new PackedFolder(bytes);
  const names = held?.names ?? [];
  let same = 0;
  let rows: Row[] | null = held === null ? [] : null;
  let known: ReadonlyMap<string, Row> | null = null;
  const first = (count: number) => (held === null ? [] : Array.from({ length: count }, (_, row) => held.row(row)));
  return {
    same: (name, stats) => {
      if (rows !== null || held === null || names[same] !== name || !isSame(held, same, stats)) return null;
      const at = same;
      same += 1;
      return { row: () => held.row(at) };
    },
    known: (name) => {
      known ??= rowsByName(bytes);
      return known.get(name);
    },
    add: (row) => {
      rows ??= first(same);
      rows.push(row);
    },
    rows: () => (rows === null && held !== null && same < held.count ? first(same) : rows),
  };
}

export function rowsByName(bytes: Uint8Array | undefined): ReadonlyMap<string, Row> {
  return new Map(bytes === undefined ? [] : [...new PackedFolder(bytes).rows()].map((row) => [row.name, row]));
}

/** A file counts only with a hash that may be trusted. */
function isSame(held: PackedFolder, row: number, stats: Stats): boolean {
  const flags = held.flags(row);
  if (stats.isFile()) return (flags & heldFlags.file) !== 0 && (flags & heldFlags.known) !== 0 && held.looksLike(row, stats);
  if (stats.isDirectory()) return (flags & heldFlags.dir) !== 0 && held.looksLike(row, folderLook(stats));
  return stats.isSymbolicLink() && (flags & heldFlags.link) !== 0 && held.looksLike(row, stats);
}

export function folderLook({ mtimeMs, mode }: Stats): Look {
  return { ...noLook, mtimeMs, mode: mode & 0o777 };
}
