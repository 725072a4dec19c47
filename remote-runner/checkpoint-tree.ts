/** One look at a folder of checkpoints: what lies in it, in groups that are written together. Bounded, and follows no link. */
import { type Dirent, lstatSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { deepestCheckpoint, isLog, isUnfinished } from '../src/protocol/checkpoint-folder.ts';
import { temporaryPrefix } from '../src/protocol/sync.ts';

export interface SeenFile {
  /** Relative to the folder. */
  readonly path: string;
  readonly bytes: number;
  /** Milliseconds since the epoch: when the first of its bytes came, as far as the file system knows it, and the last. */
  readonly beganAt: number;
  readonly endedAt: number;
  /** Changes whenever the file does. */
  readonly signature: string;
  /** Nothing was written to it after it was given its name. */
  readonly isPlaced: boolean;
  /** Something in its folder got a name in the same tick of the file system's clock as it was last written to, or later. */
  readonly mayBePlaced: boolean;
}

/** A folder directly in the folder of checkpoints with all that lies below it, or (named '') the files that lie directly in there. */
export interface SeenGroup {
  readonly name: string;
  readonly files: readonly SeenFile[];
  /** Changes whenever a file in it does, comes or goes. */
  readonly signature: string;
  /** Its folder was given its name when all was in it. */
  readonly isPlaced: boolean;
}

/** More than that is no folder of checkpoints. */
const mostFiles = 20_000;

/** null: there is no such folder, or too much is in it. */
export function lookAtCheckpoints(folder: string): ReadonlyMap<string, SeenGroup> | null {
  const groups = new Map<string, SeenFile[]>();
  let count = 0;
  for (const path of filesBelow(folder, '', 0)) {
    count += 1;
    if (count > mostFiles) return null;
    const [top = '', below] = path.split('/');
    addFile(groups, below === undefined ? '' : top, folder, path);
  }
  const signatureOf = (files: readonly SeenFile[]) =>
    files
      .map(({ signature }) => signature)
      .sort()
      .join('\n');
  return new Map([...groups].map(([name, files]) => [name, { name, files, signature: signatureOf(files), isPlaced: isPlaced(join(folder, name), files) }]));
}

/** Without what can be told by its name to be no checkpoint, or none yet. */
function* filesBelow(folder: string, path: string, depth: number): Generator<string> {
  for (const entry of entriesOf(join(folder, path))) {
    const { name } = entry;
    if (isLog(name) || name.startsWith(temporaryPrefix) || (depth === 0 && isUnfinished(name))) continue;
    const below = path === '' ? name : `${path}/${name}`;
    if (!entry.isDirectory()) yield below;
    else if (depth < deepestCheckpoint) yield* filesBelow(folder, below, depth + 1);
  }
}

function addFile(groups: Map<string, SeenFile[]>, name: string, folder: string, path: string): void {
  const stats = lstatSync(join(folder, path), { bigint: true, throwIfNoEntry: false });
  if (stats === undefined || !stats.isFile()) return; // rotated away in this very moment; a link holds nothing
  const files = groups.get(name) ?? [];
  groups.set(name, files);
  const around = lstatSync(dirname(join(folder, path)), { bigint: true, throwIfNoEntry: false });
  const endedAt = Number(stats.mtimeNs / 1_000_000n);
  const born = Number(stats.birthtimeNs / 1_000_000n);
  const signature = `${path} ${stats.size} ${stats.mtimeNs} ${stats.ino}`;
  const beganAt = born > 0 && born < endedAt ? born : endedAt;
  files.push({
    path,
    bytes: Number(stats.size),
    beganAt,
    endedAt,
    signature,
    isPlaced: stats.ctimeNs > stats.mtimeNs,
    mayBePlaced: (around?.mtimeNs ?? 0n) >= stats.mtimeNs,
  });
}

/** To rename changes the time of the last change (ctime), and not that of the last writing (mtime): what was written last sets both. */
function isPlaced(folder: string, files: readonly SeenFile[]): boolean {
  const stats = lstatSync(folder, { throwIfNoEntry: false });
  return stats !== undefined && stats.ctimeMs > stats.mtimeMs && files.every(({ endedAt }) => stats.ctimeMs > endedAt + 1);
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return []; // not there yet, or not any more, or not ours to read
  }
}
