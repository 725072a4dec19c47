/** Files that are whole or absent, whatever dies when: written beside, synced, renamed. */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

let counter = 0;

/** Replaces `file` atomically; it has reached the disk when this returns. Readable by its owner alone unless `mode` says otherwise. */
export function writeDurably(file: string, text: string, mode = 0o600): void {
  counter += 1;
  const hidden = join(dirname(file), `.${basename(file)}.${process.pid}.${counter}`);
  try {
    const fd = openSync(hidden, 'wx', mode);
    try {
      writeFileSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(hidden, file);
  } catch (error) {
    rmSync(hidden, { force: true });
    throw error;
  }
  syncFolder(dirname(file));
}

/** Makes names in a folder (created, renamed, removed) survive a power cut. */
export function syncFolder(folder: string): void {
  syncFile(folder);
}

/** Makes what somebody else has written to it survive a power cut. */
export function syncFile(file: string): void {
  const fd = openSync(file, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

export function makePrivateFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
}

/** For reading; null when there is no such file. */
export function openIfThere(file: string): number | null {
  try {
    return openSync(file, 'r');
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/** null when there is no such file, which is cheap to find out: many files are looked for again and again that hardly ever come. */
export function readText(file: string): string | null {
  try {
    if (statSync(file, { throwIfNoEntry: false }) === undefined) return null;
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/** null when there is no such file. Only for files that `writeDurably` or the shim wrote: they are whole. */
export function readJson<T>(file: string): T | null {
  const text = readText(file);
  return text === null ? null : (JSON.parse(text) as T);
}

/** As `readJson`, of a file that the job may have written to itself: `damaged` when it is not what it should be. */
export function readChecked<T>(file: string, isWhole: (value: unknown) => boolean): T | null | 'damaged' {
  try {
    const value = readJson<T>(file);
    return value === null || isWhole(value) ? value : 'damaged';
  } catch (error) {
    if (error instanceof SyntaxError) return 'damaged';
    throw error;
  }
}

/** True only when the system says so: what can't be looked at may be there. @throws what the system says otherwise */
export function isAbsent(path: string): boolean {
  try {
    statSync(path);
    return false;
  } catch (error) {
    if (isMissing(error)) return true;
    throw error;
  }
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}
