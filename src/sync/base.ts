/** Which manifest a machine was left with: the base of what is told it the next time. One file for each source and machine. May import core and `node:`. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PackedFolder, toHex } from '../protocol/packed-folder.ts';
import type { HeldFolders } from './held.ts';

export interface Base {
  readonly digest: string;
  /** Marks by path, in hex. */
  marks(): ReadonlyMap<string, string>;
}

const suffix = '.base';
const first = 'gpu-run base 1';

/** null: it was never told anything from here, or that is forgotten. */
export function loadBase(file: string): Base | null {
  let text: string;
  try {
    text = readFileSync(`${file}${suffix}`, 'utf8');
  } catch {
    return null;
  }
  const [head, digest = '', json = ''] = text.split('\n', 3);
  if (head !== first || !/^[0-9a-f]{64}$/.test(digest)) return null;
  return { digest, marks: () => marksIn(json) };
}

function marksIn(json: string): ReadonlyMap<string, string> {
  try {
    return new Map(JSON.parse(json) as [string, string][]);
  } catch {
    return new Map(); // then the changes lead to another digest than was announced, and the machine asks for all of it
  }
}

/** What can't be saved is no reason to fail. */
export function saveBase(file: string, digest: string, folders: HeldFolders): void {
  const marks = [...folders].map(([path, bytes]) => [path, toHex(new PackedFolder(bytes).mark)]);
  const temporary = `${file}${suffix}.${process.pid}.new`;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(temporary, `${first}\n${digest}\n${JSON.stringify(marks)}\n`, { mode: 0o600 });
    renameSync(temporary, `${file}${suffix}`);
    forgetOld(dirname(file));
  } catch {
    rmSync(temporary, { force: true });
  }
}

/** Machines come and go; days. */
const keptDays = 30;

function forgetOld(folder: string): void {
  const oldest = Date.now() - keptDays * 86_400_000;
  for (const name of readdirSync(folder)) {
    if (!name.endsWith(suffix)) continue;
    const stats = statSync(join(folder, name), { throwIfNoEntry: false });
    if (stats !== undefined && stats.mtimeMs < oldest) rmSync(join(folder, name), { force: true });
  }
}
