/** Keeps lists of chunks in a folder, one file each, called as the content is. Imports its own folder only; the calls to the disk are given by the caller. */
import { chunkListOf } from './chunk-list.ts';
import type { Hashing } from './content-id.ts';
import type { ChunkMemory } from './send-records.ts';

/** As in Node's `fs`. */
export interface StoreCalls {
  mkdirSync(path: string, options: { recursive: true; mode: number }): unknown;
  readFileSync(path: string): Uint8Array;
  writeFileSync(path: string, bytes: Uint8Array, options: { mode: number; flag: string }): void;
  renameSync(from: string, to: string): void;
  rmSync(path: string, options: { force: true }): void;
  readdirSync(path: string): string[];
  statSync(path: string): { readonly mtimeMs: number; readonly size: number };
}

/** Smaller files are sent whole: one megabyte more or less is nothing. */
const leastListBytes = 60 * 36;
const mostLists = 10_000;
const mostBytes = 256 * 1024 * 1024;

/** A list that can't be kept is no reason to fail, and one that was damaged is none. `name`: of a file that nobody else writes at the time. */
export function createChunkStore(disk: StoreCalls, folder: string, name: string, hashing: Hashing): ChunkMemory {
  let isTidy = false;
  return {
    known: (id) => {
      if (!/^[0-9a-f]{64}$/.test(id)) return null;
      try {
        return chunkListOf(disk.readFileSync(`${folder}/${id}`), id, hashing);
      } catch {
        return null;
      }
    },
    keep: (id, list) => {
      if (list.length < leastListBytes) return;
      const temporary = `${folder}/${name}.new`;
      try {
        disk.mkdirSync(folder, { recursive: true, mode: 0o700 });
        if (!isTidy) tidy(disk, folder);
        isTidy = true;
        disk.writeFileSync(temporary, list, { mode: 0o600, flag: 'w' });
        disk.renameSync(temporary, `${folder}/${id}`);
      } catch {
        disk.rmSync(temporary, { force: true });
      }
    },
  };
}

/** Where there are too many: the older half goes. */
function tidy(disk: StoreCalls, folder: string): void {
  const lists = disk.readdirSync(folder).map((file) => ({ file, ...sizeAndTime(disk, `${folder}/${file}`) }));
  if (lists.length <= mostLists && lists.reduce((sum, { size }) => sum + size, 0) <= mostBytes) return;
  lists.sort((one, other) => one.mtimeMs - other.mtimeMs);
  for (const { file } of lists.slice(0, lists.length / 2)) disk.rmSync(`${folder}/${file}`, { force: true });
}

function sizeAndTime(disk: StoreCalls, path: string): { readonly mtimeMs: number; readonly size: number } {
  const { mtimeMs, size } = disk.statSync(path);
  return { mtimeMs, size };
}
