/** `pull` from a machine where no runner can live: by rsync or SFTP. Trusts the machine with nothing. May import core, protocol and `node:`. */
import { createHash, type Hash } from 'node:crypto';
import { realpathSync, statSync } from 'node:fs';
import { GpuRunError } from '../core/errors.ts';
import { isWithin, outermost } from '../protocol/sync.ts';
import { sha256Of } from './local-file.ts';
import { refuseNameClashes } from './name-clash.ts';
import type { PlainPeer, PlainSeen } from './plain-peer.ts';
import { isOurs } from './plain-plan.ts';
import { loadPlainRecords, type PlainRecords } from './plain-record.ts';
import { workdirPath } from './plan.ts';
import type { PulledFile } from './pull.ts';
import { gitFolderIn } from './pull-git-names.ts';
import { type LocalFolder, type OpenFile, openLocalFolder } from './pull-place.ts';
import { toSyncError } from './sync-error.ts';

export interface PlainPullOptions {
  readonly peer: PlainPeer;
  /** Absolute: of `plainRecordFile`. */
  readonly recordFile: string;
  readonly paths: readonly string[];
  readonly into: string;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
  readonly onWarning: (text: string) => void;
}

interface Item extends PlainSeen {
  readonly path: string;
}

/** Files that the machine made or changed, as far as size and time tell. No links. @throws GpuRunError as `pullOutputs` */
export async function pullPlainly(options: PlainPullOptions): Promise<readonly PulledFile[]> {
  const { peer, into, signal, onWarning } = options;
  const paths = outermost(options.paths.map((path) => workdirPath(path, 'The output')));
  if (statSync(into, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new GpuRunError('bad-input', `Outputs can't be pulled into ${into}: it is no folder.`, { hints: ['Make the folder, or choose another one.'] });
  }
  try {
    const folder = openLocalFolder(realpathSync(into), paths);
    const seen = await peer.list(signal);
    for (const path of paths) if (path !== '' && !seen.has(path)) onWarning(`${path} doesn't exist on the machine: nothing to pull`);
    const items = choose(seen, paths, loadPlainRecords(options.recordFile), onWarning);
    refuseNameClashes(
      items.map(({ path }) => path),
      folder.top,
    );
    for (const { path, kind } of items) if (kind === 'dir') folder.makeFolder(path);
    return await fetchAll(
      items.filter(({ kind }) => kind === 'file'),
      folder,
      options,
    );
  } catch (error) {
    throw toSyncError(error, signal);
  }
}

function choose(seen: ReadonlyMap<string, PlainSeen>, paths: readonly string[], records: PlainRecords, onWarning: (text: string) => void): Item[] {
  const placed = Object.values(records);
  const items: Item[] = [];
  const refused = new Set<string>();
  for (const [path, here] of seen) {
    if (!paths.some((wanted) => isWithin(path, wanted)) || placed.some((record) => isOurs(path, here, record))) continue;
    const git = gitFolderIn(path);
    if (git !== null) refused.add(git);
    else if (here.kind === 'file' || here.kind === 'dir') items.push({ path, ...here });
    else onWarning(`not pulled: ${path}, ${here.kind === 'link' ? 'a link, and those are not fetched without a runner' : 'which is no file'}`);
  }
  for (const path of refused) onWarning(`not pulled: ${path}, since git here would run what a machine puts there`);
  return items;
}

async function fetchAll(files: readonly Item[], folder: LocalFolder, { peer, signal, onProgress, onWarning }: PlainPullOptions): Promise<PulledFile[]> {
  const pulled: PulledFile[] = [];
  const missing: Item[] = [];
  for (const file of files) {
    const same = await sameHere(file, folder, signal);
    if (same === null) missing.push(file);
    else pulled.push(same);
  }
  const byPath = new Map(missing.map((file) => [file.path, file]));
  const total = missing.reduce((sum, { size }) => sum + size, 0);
  let done = 0;
  onProgress(0, total);
  let current: { readonly item: Item; readonly file: OpenFile; readonly hash: Hash; bytes: number } | null = null;
  const take = (path: string, bytes: Buffer | null) => {
    const item = byPath.get(path);
    if (item === undefined) throw new GpuRunError('internal', `${path} came and was not asked for.`);
    current ??= { item, file: folder.openFile({ path, mode: item.executable ? 0o755 : 0o644, mtime: item.mtime * 1e6 }), hash: createHash('sha256'), bytes: 0 };
    if (bytes !== null) {
      current.bytes += bytes.length;
      if (current.bytes > mostOf(item.size)) throw new GpuRunError('protocol', `The machine sends ${path} without end: it was listed with ${item.size} bytes.`);
      current.file.write(bytes);
      current.hash.update(bytes);
      done += bytes.length;
      return onProgress(Math.min(done, total), total);
    }
    current.file.place();
    pulled.push({ path, bytes: current.bytes, sha256: current.hash.digest('hex') });
    byPath.delete(path);
    current = null;
  };
  try {
    await peer.fetch(missing, take, signal);
  } finally {
    (current as { readonly file: OpenFile } | null)?.file.close();
  }
  for (const path of byPath.keys()) onWarning(`${path} vanished on the machine before it could be pulled`);
  return pulled.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** A log may grow between its listing and its turn; a machine that lies about a size doesn't fill the disk here. */
function mostOf(listed: number): number {
  return Math.max(2 * listed, listed + 64 * 1024 * 1024);
}

/** As `PulledFile` when size and time say that it is here already. */
async function sameHere({ path, size, mtime }: Item, folder: LocalFolder, signal: AbortSignal): Promise<PulledFile | null> {
  const local = folder.existingFile(path, size);
  if (local === null || Math.floor(statSync(local).mtimeMs / 1000) !== mtime) return null;
  const read = await sha256Of(local, signal);
  return read === null ? null : { path, bytes: read.size, sha256: read.sha256 };
}
