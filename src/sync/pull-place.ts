/** Writes below one local folder, and never through a link that leaves it. May import core, protocol and `node:`. */
import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  ftruncateSync,
  futimesSync,
  lstatSync,
  mkdirSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { dirname, isAbsolute, join, relative, sep } from 'node:path';
import { GpuRunError, systemErrorCode } from '../core/errors.ts';
import { parentOf, temporaryPrefix } from '../protocol/sync.ts';
import type { ContentSink } from '../protocol/sync-content.ts';

export interface OpenFile {
  /** Opens a hidden file beside the place when the first byte comes. */
  readonly sink: ContentSink;
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
  /** False: the target leads out of the folder, and nothing was made. */
  placeLink(path: string, target: string): boolean;
}

/** @param top absolute, without links in it. All methods throw GpuRunError `sync` when a link here leads out of it, or a folder and a file are in each other's place. */
export function openLocalFolder(top: string): LocalFolder {
  return {
    top,
    existingFile: (path, size) => {
      const folder = insideOf(top, parentOf(path), false);
      const absolute = folder === null ? null : join(folder, lastPart(path));
      const stats = absolute === null ? undefined : lstatSync(absolute, { throwIfNoEntry: false });
      return stats?.isFile() && stats.size === size ? absolute : null;
    },
    makeFolder: (path) => void insideOf(top, path, true),
    openFile: (file) => openFile(placeFor(top, file.path), file),
    placeLink: (path, target) => {
      const absolute = placeFor(top, path);
      if (!staysInside(top, dirname(absolute), target)) return false;
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

function placeFor(top: string, path: string): string {
  const absolute = join(insideOf(top, parentOf(path), true) ?? top, lastPart(path));
  if (lstatSync(absolute, { throwIfNoEntry: false })?.isDirectory()) throw inTheWay(absolute, 'a folder', 'a file');
  return absolute;
}

/** Where a folder really is; made if need be, else null when it isn't there. Links on the way are followed as long as they stay below `top`. */
function insideOf(top: string, path: string, make: boolean): string | null {
  let at = top;
  for (const part of path === '' ? [] : path.split('/')) {
    const next = join(at, part);
    const stats = lstatSync(next, { throwIfNoEntry: false });
    if (stats === undefined) {
      if (!make) return null;
      mkdirSync(next);
      at = next;
    } else if (stats.isSymbolicLink()) at = throughLink(top, next);
    else if (stats.isDirectory()) at = next;
    else if (make) throw inTheWay(next, 'a file', 'a folder');
    else return null;
  }
  return at;
}

function throughLink(top: string, link: string): string {
  let real: string | null = null;
  try {
    real = realpathSync(link);
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT' && systemErrorCode(error) !== 'ELOOP') throw error;
  }
  if (real === null || !isBelow(top, real)) {
    throw new GpuRunError('sync', `${link} is a link that leads out of ${top}: outputs aren't written through it.`, {
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
 * Up first, then only down: from a real folder such a target can't leave, whatever links the way down meets, since they are
 * all of this kind. Anything else (`a/../..`) could.
 */
function staysInside(top: string, folder: string, target: string): boolean {
  if (isAbsolute(target) || target.includes('\\')) return false;
  const parts = target.split('/').filter((part) => part !== '' && part !== '.');
  const down = parts.findIndex((part) => part !== '..');
  const up = down === -1 ? parts.length : down;
  const depth = relative(top, folder)
    .split(sep)
    .filter((part) => part !== '').length;
  return up <= depth && !parts.slice(up).includes('..');
}

function inTheWay(path: string, there: string, wanted: string): GpuRunError {
  return new GpuRunError('sync', `${path} is ${there} here and ${wanted} on the machine.`, { hints: [`Move ${path} away, then pull again.`] });
}

function openFile(absolute: string, { mode, mtime }: { readonly mode: number; readonly mtime: number }): OpenFile {
  const temporary = temporaryBeside(absolute);
  let fd: number | null = null;
  let unplaced = false;
  let hash = createHash('sha256');
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
    sink: {
      write: (bytes) => {
        for (let at = 0; at < bytes.length; ) at += writeSync(opened(), bytes, at, bytes.length - at, size + at);
        hash.update(bytes);
        size += bytes.length;
      },
      restart: () => {
        ftruncateSync(opened());
        hash = createHash('sha256');
        size = 0;
      },
      sha256: () => hash.digest('hex'),
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
