/**
 * The link: a process on this computer that keeps the connection to one machine warm for the commands that follow. This folder holds
 * both its ends; `src/workflows/keep-link.ts` puts them to work. May import core, protocol and the transport interface.
 *
 * Here: where a link listens. Its folder is its owner's alone, and that is looked at before every use.
 */
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { GpuRunError } from '../core/errors.ts';

export interface LinkPlace {
  readonly folder: string;
  /** Path of the unix socket. */
  readonly socket: string;
}

/** sockaddr_un has 104 bytes on macOS and 108 on Linux, the last of them a NUL. */
const longestSocketPath = 103;

/** null: no link can be there. On Windows there is none: a named pipe is not its owner's alone. */
export function linkPlace(folder: string, machineId: string, platform: NodeJS.Platform = process.platform): LinkPlace | null {
  const name = createHash('sha256').update(machineId).digest('hex').slice(0, 16);
  const socket = join(folder, name);
  return platform === 'win32' || Buffer.byteLength(socket) > longestSocketPath ? null : { folder, socket };
}

/** Why the folder can't be trusted; null: it is there, ours, and nobody else's. */
export function folderProblem({ folder }: LinkPlace): string | null {
  const stats = lstatSync(folder, { throwIfNoEntry: false });
  if (stats === undefined) return 'is not there';
  if (!stats.isDirectory()) return 'is no folder';
  if (stats.uid !== process.getuid?.()) return 'belongs to somebody else';
  return (stats.mode & 0o077) === 0 ? null : 'is open to others';
}

/** @throws GpuRunError `not-allowed` when something else is in its place */
export function makeFolder(place: LinkPlace): void {
  mkdirSync(place.folder, { recursive: true, mode: 0o700 });
  const problem = folderProblem(place);
  if (problem !== null)
    throw new GpuRunError('not-allowed', `${place.folder} ${problem}: no connection is kept there.`, { hints: [`Remove ${place.folder}.`] });
}

/** Whether something that listens may be trusted. */
export function isTrusted(place: LinkPlace): boolean {
  if (folderProblem(place) !== null) return false;
  const stats = lstatSync(place.socket, { throwIfNoEntry: false });
  return stats?.isSocket() === true && stats.uid === process.getuid?.() && (stats.mode & 0o077) === 0;
}
