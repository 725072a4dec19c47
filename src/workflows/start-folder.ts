/** Checkpoints of this computer that a job is to go on from: `train --start-from FOLDER`. */
import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { GpuRunError, systemErrorCode } from '../core/errors.ts';
import type { TrainInput } from './train-input.ts';

/** `folder`: as it was given, relative to `base`. @throws GpuRunError `bad-input` unless there is a folder with something in it */
export function startFolder(folder: string | undefined, base: string): Pick<TrainInput, 'startFrom'> {
  if (folder === undefined) return {};
  const path = resolve(base, folder);
  const problem = folder.trim() === '' ? 'the name of the folder is empty' : problemOf(path);
  if (problem === null) return { startFrom: path };
  throw new GpuRunError('bad-input', `There are no checkpoints to go on from: ${problem}.`, {
    hints: ['Name the folder that holds them, as in --start-from checkpoints; without it the job begins from the start.'],
  });
}

function problemOf(path: string): string | null {
  try {
    return readdirSync(path).length > 0 ? null : `there is nothing in ${path}`;
  } catch (error) {
    const code = systemErrorCode(error);
    return code === 'ENOENT' ? `there is no folder ${path}` : code === 'ENOTDIR' ? `${path} is a file` : `${path} can't be read (${code})`;
  }
}
