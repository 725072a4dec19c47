/** Writes the outputs that were asked for into one local folder, and never through a link that leaves them. May import core, protocol and `node:`. */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, futimesSync, lstatSync, mkdirSync, openSync, realpathSync, renameSync, rmSync, symlinkSync, writeSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, sep } from 'node:path';
import { GpuRunError, systemErrorCode } from '../core/errors.ts';
import { isWithin, parentOf, temporaryPrefix } from '../protocol/sync.ts';
import { gitFolderIn } from './pull-git-names.ts';

export interface OpenFile {
  /** Opens a hidden file beside the place when the first byte comes. */
  write(bytes: Uint8Array): void;
  /** Gives the written content its name, at once and whole. */
  place(): void;
  /** In any case: removes what was not placed. */
  close(): void;
}

export interface LocalFolder {
  readonly top: string;
  /** Absolute path of a regular file of this size; null: there is none. */
  existingFile(path: string, size: number): string | null;
  makeFolder(path: string): void;
  openFile(file: { readonly path: string; readonly mode: number; readonly mtime: number }): OpenFile;
  /** False: the target leads out of the output, or to git's own files, and nothing was made. */
  placeLink(path: string, target: string): boolean;
}

/** Where something lies really, and the real folder that no link of the machine may leave there. */
interface Spot {
  readonly at: string;
  readonly bound: string;
}

/**
 * Links at or above an output are the user's own and may lead anywhere below `top`; those below it can be the machine's, from
 * an earlier pull, and stay inside that output.
 * @param top absolute, without links in it
 * @param outputs what was asked for; none of them lies in another. All methods take paths at or below one of them, and throw
 * GpuRunError `sync` when a link here leads out, or a folder and a file are in each other's place.
 */
export function openLocalFolder(top: string, outputs: readonly string[]): LocalFolder {
  const outputOf = (path: string) => outputs.find((output) => isWithin(path, output)) ?? path;
  const placeFor = (path: string): Spot => {
    const { at, bound } = spotOf(top, outputOf(path), parentOf(path), true) ?? { at: top, bound: top };
    const absolute = join(at, lastPart(path));
    if (lstatSync(absolute, { throwIfNoEntry: false })?.isDirectory()) throw inTheWay(absolute, 'a folder', 'a file');
    return { at: absolute, bound };
  };
  return {
    top,
    existingFile: (path, size) => {
      const folder = spotOf(top, outputOf(path), parentOf(path), false);
      const absolute = folder === null ? null : join(folder.at, lastPart(path));
      const stats = absolute === null ? undefined : lstatSync(absolute, { throwIfNoEntry: false });
      return stats?.isFile() && stats.size === size ? absolute : null;
    },
    makeFolder: (path) => void spotOf(top, outputOf(path), path, true),
    openFile: (file) => openFile(placeFor(file.path).at, file),
    placeLink: (path, target) => {
      if (path === outputOf(path)) return false; // the machine follows links that are asked for by name: an honest one sends none
      const { at: absolute, bound } = placeFor(path);
      if (!staysInside(bound, dirname(absolute), target)) return false;
      const temporary = temporaryBeside(absolute);
      try {
        symlinkSync(target, temporary);
        renameSync(temporary, absolute);
      } finally {
        rmSync(temporary, { force: true });
      }
      return true;
    },
  };
}

/** A folder at, above or below an output; made if need be, else null when it isn't there. */
function spotOf(top: string, output: string, path: string, make: boolean): Spot | null {
  let at = top;
  let bound = top;
  let walked = '';
  for (const part of path === '' ? [] : path.split('/')) {
    const next = join(at, part);
    walked = walked === '' ? part : `${walked}/${part}`;
    const stats = lstatSync(next, { throwIfNoEntry: false });
    if (stats === undefined) {
      if (!make) return null;
      mkdirSync(next);
      at = next;
    } else if (stats.isSymbolicLink()) at = throughLink(bound, next, isWithin(output, walked));
    else if (stats.isDirectory()) at = next;
    else if (make) throw inTheWay(next, 'a file', 'a folder');
    else return null;
    if (walked === output) bound = at;
  }
  return { at, bound };
}

function throughLink(bound: string, link: string, usersOwn: boolean): string {
  let real: string | null = null;
  try {
    real = realpathSync(link);
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT' && systemErrorCode(error) !== 'ELOOP') throw error;
  }
  if (real === null || !isBelow(bound, real) || (!usersOwn && gitFolderIn(relative(bound, real)) !== null)) {
    throw new GpuRunError('sync', `${link} is a link that leads out of ${bound}, or to git's own files: outputs aren't written through it.`, {
      hints: ['Replace the link with a folder, or pull into the folder that it leads to.'],
    });
  }
  if (!lstatSync(real).isDirectory()) throw inTheWay(link, 'a file', 'a folder');
  return real;
}

function isBelow(top: string, path: string): boolean {
  const way = relative(top, path);
  return way === '' || (way.split(sep)[0] !== '..' && !isAbsolute(way));
}

/**
 * Up first, then only down, to below the bound: from a real folder the way up, and down again to the bound, meets real folders
 * only, and below it links that are all of this kind. Anything else (`a/../..`) could leave.
 */
function staysInside(bound: string, folder: string, target: string): boolean {
  if (isAbsolute(target) || target.includes('\\') || gitFolderIn(target) !== null) return false;
  const parts = target.split('/').filter((part) => part !== '' && part !== '.');
  const down = parts.findIndex((part) => part !== '..');
  return (down === -1 || !parts.slice(down).includes('..')) && isBelow(bound, join(folder, ...parts));
}

function inTheWay(path: string, there: string, wanted: string): GpuRunError {
  return new GpuRunError('sync', `${path} is ${there} here and ${wanted} on the machine.`, { hints: [`Move ${path} away, then pull again.`] });
}

function openFile(absolute: string, { mode, mtime }: { readonly mode: number; readonly mtime: number }): OpenFile {
  const temporary = temporaryBeside(absolute);
  let fd: number | null = null;
  let unplaced = false;
  let size = 0;
  const opened = (): number => {
    // Who may read it is decided here, by the umask; only whether it can be executed comes from the machine.
    fd ??= openSync(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0), 0o666 | (mode & 0o111));
    unplaced = true;
    return fd;
  };
  const close = () => {
    if (fd !== null) closeSync(fd);
    fd = null;
  };
  return {
    write: (bytes) => {
      for (let at = 0; at < bytes.length; ) at += writeSync(opened(), bytes, at, bytes.length - at, size + at);
      size += bytes.length;
    },
    place: () => {
      futimesSync(opened(), new Date(), mtime / 1e6);
      close();
      renameSync(temporary, absolute);
      unplaced = false;
    },
    close: () => {
      close();
      if (unplaced) rmSync(temporary, { force: true });
    },
  };
}

function temporaryBeside(absolute: string): string {
  return join(dirname(absolute), `${temporaryPrefix}${randomBytes(6).toString('hex')}`);
}

function lastPart(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
