/**
 * Whether what a push makes fits on the disk, before anything of it is made. New files stand beside the old ones until they are
 * renamed, so what counts is the most that is taken at any moment. May import protocol and `node:`.
 */
import { statfsSync } from 'node:fs';
import { RunnerError } from './runner-error.ts';
import type { Placement, PushPlan } from './sync-plan.ts';

/** How content comes: over the connection, as a copy of what is there, by renaming what goes, or what an earlier push has put by. */
export type Coming = 'sent' | 'copied' | 'moved' | 'put-by';

export interface Needs {
  /** The most that is taken beyond what is taken now. */
  readonly bytes: number;
  /** Files, folders and links beyond those that are there. */
  readonly inodes: number;
}

/**
 * In the order of a push: copies of what is there, all of them; what is wanted no longer goes; copies and what was moved get their
 * names; then what is sent, one file after the other.
 */
export function needsOf({ place, remove }: Pick<PushPlan, 'place' | 'remove'>, comingOf: (placement: Placement) => Coming): Needs {
  const own: Placement[] = [];
  const sent: Placement[] = [];
  let [taken, peak, moved] = [0, 0, 0];
  for (const placement of place) {
    if (placement.entry.kind !== 'file') continue;
    const coming = comingOf(placement);
    (coming === 'sent' ? sent : own).push(placement);
    if (coming === 'copied') taken += placement.entry.size;
    if (coming === 'moved') moved += placement.entry.size;
  }
  peak = taken;
  // What is moved is counted among what goes, and takes no less room afterwards.
  taken += moved - remove.reduce((sum, { id }) => sum + sizeOf(id), 0);
  for (const { frees } of own) taken -= frees;
  for (const { entry, frees } of sent) {
    if (entry.kind === 'file') taken += entry.size;
    peak = Math.max(peak, taken);
    taken -= frees;
  }
  const made = place.filter(
    (placement) => placement.replaces === null && (placement.entry.kind !== 'file' || ['sent', 'copied'].includes(comingOf(placement))),
  );
  return { bytes: peak, inodes: made.length + (made.length < place.length ? 1 : 0) };
}

/** Of a file's content id, `file:SIZE:...`; links and folders take none. */
function sizeOf(id: string): number {
  return id.startsWith('file:') ? Number(id.split(':')[1]) || 0 : 0;
}

/** `there`: bytes of what is sent that an earlier push has left. @throws RunnerError `disk-full` */
export function refuseIfFull({ bytes, inodes }: Needs, there: number, folder: string): void {
  const disk = statfsSync(folder);
  const free = disk.bavail * disk.bsize;
  const needed = Math.max(0, bytes - there);
  if (disk.blocks > 0 && needed > free)
    throw new RunnerError(
      'disk-full',
      `the push needs ${megabytes(needed)} on the machine and only ${megabytes(free)} are free there (${folder}); nothing was sent`,
    );
  if (disk.files > 0 && inodes > disk.ffree)
    throw new RunnerError(
      'disk-full',
      `the push makes ${inodes} files on the machine and its file system has room for only ${disk.ffree} more (${folder}); nothing was sent`,
    );
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1e6)} MB`;
}
