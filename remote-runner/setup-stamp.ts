/** Setup runs again only when it, or a file that it names, has changed: the machine remembers the hash of its last good setup. */
import { createHash } from 'node:crypto';
import { lstatSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { readText, writeDurably } from './durable.ts';
import type { MachineFolder } from './machine-folder.ts';

const largestFile = 16 * 1024 * 1024;

/** Over the text and the files below the workdir that its words name (`-r requirements.txt`, `--file=env.yml`). */
export function setupHash(setup: string, workdir: string): string {
  const hash = createHash('sha256').update(setup);
  for (const word of new Set(setup.split(/[\s;&|()<>"'`=]+/))) {
    const content = word === '' ? null : namedFile(workdir, word);
    if (content !== null) hash.update(`\0${word}\0`).update(createHash('sha256').update(content).digest());
  }
  return hash.digest('hex');
}

/** null: not a file below the workdir, or too large to be one that describes a setup. */
function namedFile(workdir: string, word: string): Buffer | null {
  try {
    const file = realpathSync(join(workdir, word));
    const stats = lstatSync(file);
    const outside = relative(realpathSync(workdir), file).startsWith('..');
    return outside || !stats.isFile() || stats.size > largestFile ? null : readFileSync(file);
  } catch {
    return null;
  }
}

export function isSetUp(machine: MachineFolder, hash: string): boolean {
  return readText(machine.setupStamp) === hash;
}

export function stampSetup(machine: MachineFolder, hash: string): void {
  writeDurably(machine.setupStamp, hash);
}

/** Before a setup begins: one that fails half-way leaves the machine in no known state. */
export function clearSetupStamp(machine: MachineFolder): void {
  rmSync(machine.setupStamp, { force: true });
}
