/** Checkpoints of this computer that a job is to go on from: `train --start-from FOLDER`. */
import { lstatSync, readdirSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { GpuRunError, systemErrorCode } from '../core/errors.ts';
import { isJobId } from '../core/run-id.ts';
import { shownArgv } from '../transport/quote.ts';
import type { TrainInput } from './train-input.ts';

/** `folder`: as it was given, relative to `base`. @throws GpuRunError `bad-input` unless there is a folder with something in it */
export function startFolder(folder: string | undefined, base: string): Pick<TrainInput, 'startFrom'> {
  if (folder === undefined) return {};
  const path = resolve(base, folder);
  const problem = folder.trim() === '' ? 'the name of the folder is empty' : problemOf(path);
  if (problem === null && namesIn(path).some((name) => !isJobFolder(path, name))) return { startFrom: path };
  const newest = problem === null ? newestOf(jobFolders(path)) : null;
  const hint = newest === null ? 'Name the folder that holds them, as in --start-from checkpoints' : `Name one of them: --start-from ${join(folder, newest)}`;
  throw new GpuRunError('bad-input', `There are no checkpoints to go on from: ${problem ?? `${path} holds but folders of other jobs`}.`, {
    hints: [`${hint}; without it the job begins from the start.`],
  });
}

/** What other jobs of one machine have saved there, each in a folder that is called like it: no part of what lies beside them. Absolute; none where `folder` can't be read. */
export function jobFolders(folder: string): readonly string[] {
  return namesIn(folder).flatMap((name) => (isJobFolder(folder, name) ? [join(folder, name)] : []));
}

/** For people, of what is left out of `folder`, absolute; null: nothing is. */
export function leftOutText(folder: string, folders: readonly string[]): string | null {
  const newest = newestOf(folders);
  if (newest === null) return null;
  const what =
    folders.length === 1
      ? `${newest} in ${folder} is the folder of another job and is`
      : `${newest} and ${folders.length - 1} more in ${folder} are folders of other jobs and are`;
  return `${what} left out. To begin from ${folders.length === 1 ? 'it' : 'that one'} instead: ${shownArgv(['--start-from', join(folder, newest)])}`;
}

/** A link is no such folder, whatever it is called: what it leads to may be what the job is to go on from. */
function isJobFolder(folder: string, name: string): boolean {
  return isJobId(name) && lstatSync(join(folder, name), { throwIfNoEntry: false })?.isDirectory() === true;
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function newestOf(folders: readonly string[]): string | null {
  const byAge = folders.toSorted((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  return byAge[0] === undefined ? null : basename(byAge[0]);
}

function problemOf(path: string): string | null {
  try {
    return readdirSync(path).length > 0 ? null : `there is nothing in ${path}`;
  } catch (error) {
    const code = systemErrorCode(error);
    return code === 'ENOENT' ? `there is no folder ${path}` : code === 'ENOTDIR' ? `${path} is a file` : `${path} can't be read (${code})`;
  }
}
