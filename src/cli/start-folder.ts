/** `train --start-from FOLDER`: checkpoints of this computer to go on from. */
import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { GpuRunError, systemErrorCode } from '../core/errors.ts';

/** `folder`: as it was typed. @throws GpuRunError `bad-input` unless there is a folder with something in it */
export function startFolder(folder: string | undefined): { readonly startFrom?: string } {
  if (folder === undefined) return {};
  const path = resolve(folder);
  const problem = problemOf(path);
  if (problem === null) return { startFrom: path };
  throw new GpuRunError('bad-input', `--start-from: ${problem}.`, {
    hints: ['Name the folder that holds the checkpoints, as in --start-from checkpoints; without the flag the job begins from the start.'],
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
