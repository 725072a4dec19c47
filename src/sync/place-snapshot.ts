/** Puts a copy that `pullSnapshot` has made into the user's folder, each file whole, with the same care as what is pulled. */
import { lstatSync, readdirSync, readlinkSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { GpuRunError } from '../core/errors.ts';
import { toMtime } from '../protocol/sync.ts';
import { identify, reading } from './local-file.ts';
import { type LocalFolder, openLocalFolder } from './pull-place.ts';

const pieceBytes = 256 * 1024;

/** `path`: of the folder that was copied, relative to `snapshot` and to `into`. @throws GpuRunError `sync` */
export async function placeSnapshot(snapshot: string, path: string, into: string, signal: AbortSignal): Promise<void> {
  const folder = openLocalFolder(realpathSync(into), [path]);
  for (const file of filesBelow(snapshot, path)) {
    if (signal.aborted) throw new GpuRunError('interrupted', 'Interrupted.');
    await placeOne(join(snapshot, file), file, folder, signal);
  }
}

async function placeOne(from: string, path: string, folder: LocalFolder, signal: AbortSignal): Promise<void> {
  const stats = lstatSync(from, { bigint: true });
  if (stats.isSymbolicLink()) {
    folder.placeLink(path, readlinkSync(from));
    return;
  }
  const here = folder.existingFile(path, Number(stats.size));
  if (here !== null && (await identify(here, signal))?.sha256 === (await identify(from, signal))?.sha256) return;
  const source = reading.open(from);
  if (source === null) return;
  const file = folder.openFile({ path, mode: Number(stats.mode & 0o777n), mtime: toMtime(stats.mtimeNs) });
  try {
    const piece = Buffer.allocUnsafe(Math.min(pieceBytes, source.size));
    for (let read = source.read(piece); read > 0; read = source.read(piece)) file.write(piece.subarray(0, read));
    file.place();
  } finally {
    source.close();
    file.close();
  }
}

function* filesBelow(top: string, path: string): Generator<string> {
  for (const entry of readdirSync(join(top, path), { withFileTypes: true })) {
    const below = `${path}/${entry.name}`;
    if (entry.isDirectory()) yield* filesBelow(top, below);
    else yield below;
  }
}
