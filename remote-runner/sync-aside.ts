/** Moves the machine's own files out of a push's way, to where nothing of theirs gets lost. May import protocol and `node:`. */
import {
  chmodSync,
  constants,
  copyFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { RunnerError } from './runner-error.ts';
import { errorCode, look, type Seen } from './sync-disk.ts';

/** Moves what `from` looked like as `seen` below `folder`, as `path` there or a free name like it. Gives its new place. */
export function putAside(from: string, seen: Seen, folder: string, path: string): string {
  const to = freePlace(folder, path.split('/'));
  mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
  try {
    renameSync(from, to);
  } catch (error) {
    if (errorCode(error) !== 'EXDEV') throw error;
    moveAcross(from, seen, to);
  }
  return to;
}

/** A folder may come after what was in it, and what lies below a name after a file of that name. */
function freePlace(folder: string, [name = '', ...below]: readonly string[]): string {
  for (let number = 0; ; number += 1) {
    const place = join(folder, number === 0 ? name : `${name}~${number}`);
    const kind = look(place)?.kind;
    if (below.length > 0 && (kind === undefined || kind === 'dir')) return freePlace(place, below);
    if (below.length === 0 && kind === undefined) return place;
  }
}

/** To another file system: what was copied whole is removed, piece by piece. */
function moveAcross(from: string, seen: Seen, to: string): void {
  if (seen.kind === 'dir') moveFolder(from, seen, to);
  else if (seen.kind === 'file') moveFile(from, seen, to);
  else if (seen.kind === 'link') {
    symlinkSync(readlinkSync(from, 'buffer'), to);
    unlinkSync(from);
  } else throw new RunnerError('sync', `${from} on the machine is in the way and is no file, folder or link; remove it there and push again`);
}

function moveFolder(from: string, { mode }: Seen, to: string): void {
  mkdirSync(to, { mode: 0o700 });
  chmodSync(from, mode | 0o700);
  for (const name of readdirSync(from)) {
    const seen = look(join(from, name));
    if (seen !== null) moveAcross(join(from, name), seen, join(to, name));
  }
  rmdirSync(from);
  chmodSync(to, mode);
}

function moveFile(from: string, { fingerprint }: Seen, to: string): void {
  const { atime, mtime } = lstatSync(from);
  let complete = false;
  try {
    copyFileSync(from, to, constants.COPYFILE_EXCL);
    complete = look(from)?.fingerprint === fingerprint;
  } finally {
    if (!complete) rmSync(to, { force: true });
  }
  if (!complete) throw new RunnerError('sync', `${from} is being written to on the machine and is in the way; push again when it is finished`);
  utimesSync(to, atime, mtime);
  unlinkSync(from);
}
