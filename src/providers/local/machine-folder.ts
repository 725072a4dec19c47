/**
 * A local machine is a folder: `<home>/<machine id>/`. The caller writes `machine.json` once; the machine's process writes the
 * other files. Each file appears whole or not at all, so a look at the folder at any moment, also after a crash, is a true one.
 */
import { randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { chmod, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode } from '../../core/errors.ts';
import type { Labels } from '../../core/machine.ts';
import type { ProcessIdentity } from '../../core/process-identity.ts';

export interface MachineFiles {
  /** What was ordered. Without it the folder is half-made. Readable by the user alone: it holds the host's private key. */
  readonly 'machine.json': MachineOrder;
  /** Takes the place of the order's own deadline, once that was moved. Milliseconds since the epoch. */
  readonly 'deadline.json': { readonly deadline: number };
  /** The machine's one process; whoever writes this first is it. */
  readonly 'process.json': ProcessIdentity;
  /** It can be reached. */
  readonly 'address.json': { readonly port: number };
  /** It has begun to end. */
  readonly 'ending.json': MachineEnd;
  /** It has ended by itself, and all its processes with it. */
  readonly 'ended.json': MachineEnd;
}

export interface MachineOrder {
  readonly id: string;
  readonly name: string;
  readonly labels: Labels;
  readonly requestId: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly deadline: number;
  readonly idleSeconds: number | null;
  /** The only key that gets in. */
  readonly sshPublicKey: string;
  readonly hostPrivateKey: string;
  readonly hostPublicKey: string;
  readonly user: string;
  /** What the machine's processes start with; no secrets. */
  readonly env: Readonly<Record<string, string>>;
}

export interface MachineEnd {
  readonly why: string;
  readonly at: number;
}

/** Output of the machine's process: why it could not even start. */
export const logName = 'machine.log';

const idPattern = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** null: no machine can have this id. Nothing outside `home` is ever named. */
export function folderOf(home: string, id: string): string | null {
  return idPattern.test(id) ? join(home, id) : null;
}

/** The ids of all machines, half-made ones too. */
export function machineIds(home: string): string[] {
  try {
    return readdirSync(home).filter((name) => idPattern.test(name));
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** null: not there (a file that a power cut left empty counts as not there). */
export function readMachineFile<Name extends keyof MachineFiles>(folder: string, name: Name): MachineFiles[Name] | null {
  try {
    return JSON.parse(readFileSync(join(folder, name), 'utf8')) as MachineFiles[Name];
  } catch (error) {
    if (error instanceof SyntaxError || systemErrorCode(error) === 'ENOENT' || systemErrorCode(error) === 'ENOTDIR') return null;
    throw error;
  }
}

/** Writes a file that must not be there yet. False: it is, and stays as it was; of two at once, one wins. */
export function writeOnce<Name extends keyof MachineFiles>(folder: string, name: Name, content: MachineFiles[Name]): boolean {
  const hidden = writeHidden(folder, name, content);
  try {
    linkSync(hidden, join(folder, name));
    return true;
  } catch (error) {
    if (systemErrorCode(error) === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(hidden, { force: true });
  }
}

export function writeMachineFile<Name extends keyof MachineFiles>(folder: string, name: Name, content: MachineFiles[Name]): void {
  renameSync(writeHidden(folder, name, content), join(folder, name));
}

function writeHidden(folder: string, name: string, content: unknown): string {
  const hidden = join(folder, `.${name}.${randomUUID()}`);
  writeFileSync(hidden, JSON.stringify(content), { mode: 0o600, flag: 'wx' });
  return hidden;
}

export function makeFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
}

/** Removes it with all that jobs have left there, folders without write permission included (as `go mod` makes them). */
export async function removeFolder(folder: string): Promise<void> {
  try {
    await removeTree(folder);
  } catch (error) {
    if (systemErrorCode(error) !== 'EACCES' && systemErrorCode(error) !== 'EPERM') throw error;
    await unlockFolders(folder);
    await removeTree(folder);
  }
}

function removeTree(folder: string): Promise<void> {
  return rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
}

async function unlockFolders(folder: string): Promise<void> {
  await chmod(folder, 0o700);
  for (const entry of await readdir(folder, { withFileTypes: true })) if (entry.isDirectory()) await unlockFolders(join(folder, entry.name));
}

/** As it was ordered, or as it was moved to since. Milliseconds since the epoch. */
export function deadlineOf(folder: string, order: Pick<MachineOrder, 'deadline'>): number {
  return readMachineFile(folder, 'deadline.json')?.deadline ?? order.deadline;
}
