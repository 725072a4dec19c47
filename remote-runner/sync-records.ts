/** What pushes of one source placed, packed folder by folder; a folder is unpacked while it is worked on. May import protocol and `node:`. */
import { createHash } from 'node:crypto';
import { noLook, PackedFolder, packFolder, type Row } from '../src/protocol/packed-folder.ts';
import { type Entry, fileId, parentOf } from '../src/protocol/sync.ts';
import { folderMark, TreeDigest } from '../src/protocol/tree-digest.ts';
import { fingerprintOf, isSettled, lookOf } from './sync-disk.ts';

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
  readonly mode: number;
}

/** Bits of a row. The kinds stand for the content id, of which they are the beginning. */
export const rowFlags = { file: 1, dir: 2, link: 4, ours: 8, settled: 16, unseen: 32, fresh: 64, odd: 128 } as const;

/** `fresh`: it came with this push. */
type Unpacked = Map<string, { readonly placed: Placed; readonly fresh: boolean }>;

/** So many folders are unpacked at once; all work goes through a tree in its order. */
const unpackedAtOnce = 64;

export class Records implements Iterable<readonly [string, Placed]> {
  readonly #folders: Map<string, Uint8Array>;
  readonly #unpacked = new Map<string, Unpacked>();
  readonly #dirty = new Set<string>();

  constructor(folders: ReadonlyMap<string, Uint8Array> = new Map()) {
    this.#folders = new Map(folders);
  }

  get(path: string): Placed | undefined {
    return this.#open(parentOf(path)).get(nameOf(path))?.placed;
  }

  has(path: string): boolean {
    return this.get(path) !== undefined;
  }

  set(path: string, placed: Placed): void {
    const folder = parentOf(path);
    this.#open(folder).set(nameOf(path), { placed, fresh: true });
    this.#dirty.add(folder);
  }

  delete(path: string): void {
    const folder = parentOf(path);
    if (this.#open(folder).delete(nameOf(path))) this.#dirty.add(folder);
  }

  /** What is changed in one is not changed in the other. */
  copy(): Records {
    this.#pack();
    return new Records(this.#folders);
  }

  /** Folders that hold something, packed. */
  get folders(): ReadonlyMap<string, Uint8Array> {
    this.#pack();
    return this.#folders;
  }

  *[Symbol.iterator](): Generator<readonly [string, Placed]> {
    for (const [folder, bytes] of this.folders)
      for (const row of new PackedFolder(bytes).rows()) yield [folder === '' ? row.name : `${folder}/${row.name}`, toPlaced(row)];
  }

  /** Files that have, or may have, one of these sizes. */
  *filesOf(sizes: ReadonlySet<number>): Generator<readonly [string, Placed]> {
    for (const [folder, bytes] of this.folders) {
      const packed = new PackedFolder(bytes);
      for (let row = 0; row < packed.count; row += 1) {
        const flags = packed.flags(row);
        if ((flags & rowFlags.odd) === 0 && ((flags & rowFlags.file) === 0 || !sizes.has(packed.size(row)))) continue;
        const known = packed.row(row);
        yield [folder === '' ? known.name : `${folder}/${known.name}`, toPlaced(known)];
      }
    }
  }

  /** Of the manifest whose entries these are, where each has one content. */
  get digest(): string {
    const digest = new TreeDigest();
    for (const bytes of this.folders.values()) digest.toggle(new PackedFolder(bytes).mark);
    return digest.hex;
  }

  /** What came since `saved` has settled by now, or not; `nowMs` by the clock of its file system. */
  settle(nowMs: number, saved: ReadonlyMap<string, Uint8Array>): void {
    for (const [folder, bytes] of this.folders) {
      if (saved.get(folder) === bytes) continue;
      const packed = new PackedFolder(bytes);
      for (let row = 0; row < packed.count; row += 1) {
        const flags = packed.flags(row);
        if ((flags & rowFlags.fresh) === 0) continue;
        const isNow = (flags & (rowFlags.odd | rowFlags.unseen)) === 0 && isSettled(fingerprintOf(kindOf(flags), packed.row(row).look), nowMs);
        packed.setFlags(row, (flags & ~(rowFlags.fresh | rowFlags.settled)) | (isNow ? rowFlags.settled : 0));
      }
      this.#folders.set(folder, packed.bytes);
    }
    this.#unpacked.clear();
  }

  #open(folder: string): Unpacked {
    const known = this.#unpacked.get(folder);
    if (known !== undefined) return known;
    if (this.#unpacked.size >= unpackedAtOnce) this.#pack();
    const bytes = this.#folders.get(folder);
    const rows: Unpacked = new Map();
    if (bytes !== undefined) {
      for (const row of new PackedFolder(bytes).rows()) rows.set(row.name, { placed: toPlaced(row), fresh: (row.flags & rowFlags.fresh) !== 0 });
    }
    this.#unpacked.set(folder, rows);
    return rows;
  }

  #pack(): void {
    for (const folder of this.#dirty) {
      const rows = this.#unpacked.get(folder);
      if (rows === undefined || rows.size === 0) this.#folders.delete(folder);
      else this.#folders.set(folder, packRows(folder, rows));
    }
    this.#dirty.clear();
    this.#unpacked.clear();
  }
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function packRows(folder: string, unpacked: Unpacked): Uint8Array {
  const sorted = [...unpacked].sort(([one], [other]) => (one < other ? -1 : 1));
  const rows = sorted.map(([name, { placed, fresh }]) => toRow(name, placed, fresh));
  const entries = sorted.map(([name, { placed }]) => entryOf(folder === '' ? name : `${folder}/${name}`, placed));
  const mark = entries.every((entry) => entry !== null)
    ? folderMark(folder, entries, (text) => createHash('sha256').update(text).digest())
    : new Uint8Array(32);
  return packFolder(rows, isFileRow, mark);
}

export function isFileRow({ flags }: Row): boolean {
  return (flags & (rowFlags.file | rowFlags.odd)) === rowFlags.file;
}

function kindOf(flags: number): 'file' | 'dir' | 'link' {
  if ((flags & rowFlags.file) !== 0) return 'file';
  return (flags & rowFlags.dir) !== 0 ? 'dir' : 'link';
}

/** The entry that a record stands for; null: there may be more than one. */
export function entryOf(path: string, { ours, found, mode, mtime }: Placed): Entry | null {
  const ids = found === null ? ours : [...ours, found];
  const [id] = ids;
  if (id === undefined || ids.length > 1) return null;
  if (id === 'dir') return { kind: 'dir', path, mode, mtime };
  if (id.startsWith('link:')) return { kind: 'link', path, target: id.slice('link:'.length) };
  const [, size, sha256] = id.split(':');
  return { kind: 'file', path, mode, mtime, size: Number(size), sha256: sha256 ?? '' };
}

/** A content id and what was seen must fit, or the row holds the record as it is. */
function toRow(name: string, placed: Placed, fresh: boolean): Row {
  const { ours, found, fingerprint, settled, mtime, mode } = placed;
  const entry = entryOf(name, placed);
  const look = fingerprint === null ? null : lookOf(fingerprint);
  const flags = (found === null ? rowFlags.ours : 0) | (settled ? rowFlags.settled : 0) | (fresh ? rowFlags.fresh : 0);
  const isKind = entry !== null && (fingerprint === null || fingerprint.startsWith(`${entry.kind}:`));
  if (entry === null || !isKind || (entry.kind === 'file' && look !== null && look.size !== entry.size))
    return { name, flags: rowFlags.odd | (fresh ? rowFlags.fresh : 0), mode, mtime, look: noLook, sha256: null, extra: { ours, found, fingerprint } };
  const seen = look ?? { ...noLook, size: entry.kind === 'file' ? entry.size : 0 };
  const unseen = look === null ? rowFlags.unseen : 0;
  return {
    name,
    flags: flags | rowFlags[entry.kind] | unseen,
    mode,
    mtime,
    look: seen,
    sha256: entry.kind === 'file' ? entry.sha256 : null,
    ...(entry.kind === 'link' ? { extra: entry.target } : {}),
  };
}

export function toPlaced({ flags, mode, mtime, look, sha256, extra }: Row): Placed {
  if ((flags & rowFlags.odd) !== 0) return { ...(extra as Pick<Placed, 'ours' | 'found' | 'fingerprint'>), settled: false, mtime, mode };
  const kind = kindOf(flags);
  const id = kind === 'file' ? fileId(look.size, sha256 ?? '0'.repeat(64)) : kind === 'dir' ? 'dir' : `link:${String(extra)}`;
  const isOurs = (flags & rowFlags.ours) !== 0;
  return {
    ours: isOurs ? [id] : [],
    found: isOurs ? null : id,
    fingerprint: (flags & rowFlags.unseen) !== 0 ? null : fingerprintOf(kind, look),
    settled: (flags & rowFlags.settled) !== 0,
    mtime,
    mode,
  };
}
