/** Paths that the config gives relative to the workdir on the machine. */
import { posix, win32 } from 'node:path';
import { GpuRunError } from '../core/errors.ts';

/** The path without `./` and trailing `/`. It names something below the workdir, never the workdir itself or what lies outside. @throws GpuRunError bad-input */
export function insidePath(text: string): string {
  const path = posix.normalize(text).replace(/\/+$/, '');
  if (text.includes('\0')) throw refused(text, 'holds a NUL character');
  if (text.startsWith('~')) throw refused(text, 'starts with ~, but it is looked up in the workdir, not in the home folder');
  if (posix.isAbsolute(text) || win32.isAbsolute(text)) throw refused(text, 'is an absolute path');
  if (path === '..' || path.startsWith('../')) throw refused(text, 'leads out of the workdir');
  if (path === '.' || path === '') throw refused(text, 'is the workdir itself');
  return path;
}

/** The first path that equals, or lies below, another one of the list. */
export function findOverlap(paths: readonly string[]): { readonly index: number; readonly path: string; readonly around: string } | null {
  for (const [index, path] of paths.entries()) {
    const around = paths.find((other, otherIndex) => otherIndex !== index && (path === other || path.startsWith(`${other}/`)));
    if (around !== undefined) return { index, path, around };
  }
  return null;
}

function refused(text: string, why: string): GpuRunError {
  return new GpuRunError('bad-input', `'${text}' ${why}.`, { hints: ['Write a path below the workdir, as in runs/ or data/pets.'] });
}
