/** Whether everything that the last push left on this machine is as it was: what a push of an unchanged tree costs here. May import protocol and `node:`. */
import type { Stats } from 'node:fs';
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { PackedFolder } from '../src/protocol/packed-folder.ts';
import { look, statsOf, type Workdir } from './sync-disk.ts';
import { identify } from './sync-plan.ts';
import { type Placed, type Records, rowFlags, toPlaced } from './sync-records.ts';

/** Milliseconds; other calls go on in between. */
const yieldEveryMs = 20;

/**
 * `read`: what had changed so recently that it had to be read, and was as it should be. It is in `records` anew then, and settles when they are saved.
 * null: something is not as it was left.
 */
export async function lookAtAll(records: Records, workdir: Workdir, signal: AbortSignal): Promise<{ readonly read: number } | null> {
  const read: [string, Placed][] = [];
  let began = performance.now();
  for (const [folder, bytes] of records.folders) {
    if (performance.now() - began > yieldEveryMs) {
      await yieldToOthers();
      signal.throwIfAborted();
      began = performance.now();
    }
    const packed = new PackedFolder(bytes);
    const top = workdir.absolute(folder);
    for (const [row, name] of packed.names.entries()) {
      const known = rowState(packed, row, statsOf(`${top}/${name}`));
      if (known === 'other') return null;
      if (known === 'same') continue;
      const path = folder === '' ? name : `${folder}/${name}`;
      const placed = toPlaced(packed.row(row));
      if (!(await isAsPlaced(path, placed, workdir, signal))) return null;
      read.push([path, placed]);
    }
  }
  for (const [path, placed] of read) records.set(path, placed);
  return { read: read.length };
}

function rowState(packed: PackedFolder, row: number, stats: Stats | null): 'same' | 'other' | 'unsettled' {
  const flags = packed.flags(row);
  if (stats === null || (flags & (rowFlags.odd | rowFlags.unseen)) !== 0) return 'other';
  if ((flags & rowFlags.dir) !== 0) return stats.isDirectory() && packed.hasMode(row, stats.mode) ? 'same' : 'other';
  const isKind = (flags & rowFlags.file) !== 0 ? stats.isFile() : stats.isSymbolicLink();
  if (!isKind || !packed.looksLike(row, stats)) return 'other';
  return (flags & rowFlags.settled) !== 0 ? 'same' : 'unsettled';
}

async function isAsPlaced(path: string, placed: Placed, workdir: Workdir, signal: AbortSignal): Promise<boolean> {
  const seen = look(workdir.absolute(path));
  if (seen === null || seen.fingerprint !== placed.fingerprint) return false;
  const { id } = await identify(workdir.absolute(path), seen, placed, '', signal);
  return id !== null && (id === placed.found || placed.ours.includes(id));
}
