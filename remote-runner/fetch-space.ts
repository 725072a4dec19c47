/** Whether what is to be fetched fits, before anything of it is. May import protocol and `node:`. */
import { statfsSync, statSync } from 'node:fs';
import { fetchError } from './fetch-error.ts';

export interface Room {
  readonly bytes: number;
  readonly files: number;
}

/** `parts` and `workdir`: folders that exist. On two file systems each file is, for a while, on both. */
export function refuseIfFull({ bytes, files }: Room, parts: string, workdir: string): void {
  for (const folder of statSync(parts).dev === statSync(workdir).dev ? [workdir] : [parts, workdir]) {
    const disk = statfsSync(folder);
    const free = disk.bavail * disk.bsize;
    if (disk.blocks > 0 && bytes > free)
      throw fetchError(
        'disk-full',
        `What is to be fetched takes ${inGigabytes(bytes)} more, and only ${inGigabytes(free)} are free on the machine (${folder}); nothing was fetched.`,
      );
    if (disk.files > 0 && files > disk.ffree)
      throw fetchError(
        'disk-full',
        `${files} files are to be fetched, and the machine's file system (${folder}) has room for only ${disk.ffree} more; nothing was fetched.`,
      );
  }
}

function inGigabytes(bytes: number): string {
  return bytes < 1e9 ? `${Math.ceil(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
