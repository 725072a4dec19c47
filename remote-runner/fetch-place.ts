/**
 * Puts fetched files into the workdir and takes away those that are wanted no longer. Everything is looked at once more before it is
 * replaced: what the machine made or changed is moved aside, never lost. May import protocol and `node:`.
 */
import { chmodSync, closeSync, constants, copyFileSync, fdatasyncSync, mkdirSync, openSync, renameSync, rmdirSync, rmSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { isWithin, parentOf, temporaryPrefix } from '../src/protocol/sync.ts';
import { fetchError } from './fetch-error.ts';
import { readMark } from './fetch-part.ts';
import { type Fetched, type FetchRecord, isUntouched, lookOf } from './fetch-record.ts';
import { putAside } from './sync-aside.ts';
import { errorCode, hashWhole, look, type Workdir } from './sync-disk.ts';

export interface Placing {
  readonly workdir: Workdir;
  readonly outputs: readonly string[];
  /** Where the machine's own files are moved to. */
  readonly aside: string;
  readonly warn: (text: string) => void;
  readonly signal: AbortSignal;
}

/** One source's. */
export interface PlacingSource extends Placing {
  /** Of its record, its lock and its parts. Absolute. */
  readonly folder: string;
  readonly record: FetchRecord;
}

/** What is at a path where nothing of ours is: what may go or nothing, what is wanted already, or the machine's own output. */
export async function lookAhead(path: string, sha256: string | null, { workdir, outputs, signal }: PlacingSource): Promise<'free' | 'there' | 'output'> {
  refuseDetours(path, workdir);
  const absolute = workdir.absolute(path);
  const seen = look(absolute);
  if (seen === null) return 'free';
  if (sha256 !== null && seen.kind === 'file' && (await hashWhole(absolute, signal))?.sha256 === sha256) return 'there';
  return outputs.some((output) => isWithin(path, output)) ? 'output' : 'free';
}

/** A fetch that was cut may have put the file in its place without writing it down: its part's mark knows it. */
export function adopt(path: string, part: string, { workdir, record }: PlacingSource): void {
  const mark = readMark(part);
  const there = lookOf(workdir.absolute(path));
  if (mark?.whole == null || there === null || !workdir.reaches(path) || !there.startsWith(`${mark.whole.look}:`)) return;
  record.files.set(path, { sha256: mark.whole.sha256, size: mark.bytes, key: mark.key, validator: mark.any, look: there });
}

/** `fetched` lacks only how it looks in its place. The part is gone afterwards. */
export async function place(path: string, part: string, fetched: Omit<Fetched, 'look'>, source: PlacingSource): Promise<void> {
  const { workdir, record, signal } = source;
  const absolute = workdir.absolute(path);
  const prior = record.files.get(path);
  const mayGo = prior !== undefined && (await isUntouched(absolute, prior, signal));
  refuseDetours(path, workdir);
  makeParents(parentOf(path), workdir, record);
  chmodSync(part, 0o644);
  makeWay(path, mayGo, source);
  moveInto(part, absolute, join(workdir.absolute(parentOf(path)), `${temporaryPrefix}${fetched.key}`));
  record.files.set(path, { ...fetched, look: lookOf(absolute) ?? '' });
}

function makeWay(path: string, mayGo: boolean, { workdir, aside, warn }: Placing): void {
  const absolute = workdir.absolute(path);
  const seen = look(absolute);
  if (seen === null || (seen.kind === 'file' && mayGo)) return;
  if (seen.kind === 'dir' && removeIfEmpty(absolute)) return;
  warn(`${path} was made or changed on the machine; its version there was moved to ${putAside(absolute, seen, aside, path)}`);
}

/** Another file system lies in between where the workdir is a disk of its own. */
function moveInto(part: string, absolute: string, temporary: string): void {
  try {
    renameSync(part, absolute);
  } catch (error) {
    if (errorCode(error) !== 'EXDEV') throw error;
    try {
      rmSync(temporary, { force: true });
      copyFileSync(part, temporary, constants.COPYFILE_EXCL);
      flush(temporary);
      renameSync(temporary, absolute);
    } finally {
      rmSync(temporary, { force: true });
    }
    unlinkSync(part);
  }
}

function flush(file: string): void {
  const fd = openSync(file, 'r+');
  try {
    fdatasyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** What was fetched for paths that are not wanted any more. What somebody has changed stays, and is ours no longer. */
export async function removeUnwanted(wanted: ReadonlySet<string>, source: PlacingSource): Promise<void> {
  const { record, workdir, signal } = source;
  for (const [path, fetched] of [...record.files]) {
    if (wanted.has(path)) continue;
    if (workdir.reaches(path) && (await isUntouched(workdir.absolute(path), fetched, signal))) unlinkSync(workdir.absolute(path));
    record.files.delete(path);
  }
  const needed = new Set<string>();
  for (const path of wanted) for (let at = parentOf(path); at !== '' && !needed.has(at); at = parentOf(at)) needed.add(at);
  for (const folder of [...record.folders].sort().reverse()) {
    if (needed.has(folder)) continue;
    if (workdir.reaches(folder) && look(workdir.absolute(folder))?.kind === 'dir' && !removeIfEmpty(workdir.absolute(folder))) continue;
    record.folders.delete(folder);
  }
}

/** A link on the way would lead out of the workdir. */
function refuseDetours(path: string, workdir: Workdir): void {
  for (let at = path.indexOf('/'); at > 0; at = path.indexOf('/', at + 1)) {
    const parent = path.slice(0, at);
    const kind = look(workdir.absolute(parent))?.kind;
    if (kind === undefined || kind === 'dir') continue;
    const what = kind === 'link' ? 'a link' : 'no folder';
    throw fetchError(
      'sync',
      `${workdir.absolute(parent)} is ${what} on the machine, and ${path} belongs below it.`,
      'Remove it there (gpu-run ssh NAME), or choose another `to`.',
    );
  }
}

function makeParents(folder: string, workdir: Workdir, record: FetchRecord): void {
  if (folder === '' || look(workdir.absolute(folder)) !== null) return;
  makeParents(parentOf(folder), workdir, record);
  mkdirSync(workdir.absolute(folder), { mode: 0o755 });
  record.folders.add(folder);
}

function removeIfEmpty(absolute: string): boolean {
  try {
    rmdirSync(absolute);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOTEMPTY' || errorCode(error) === 'EEXIST') return false;
    throw error;
  }
}
