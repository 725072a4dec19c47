/** Where a repository keeps what it is at. Read from its files: a git process for it would take longer than the rest of `status`. */
import { readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

export interface GitFolders {
  /** HEAD is in it. */
  readonly own: string;
  /** The branches are in it: another one in a worktree. */
  readonly refs: string;
}

/** Of the repository that `folder` is in; null: of none. */
export function gitFolders(folder: string): GitFolders | null {
  for (let at = resolve(folder); ; at = dirname(at)) {
    const own = ownFolder(at);
    if (own !== null && readHead({ own }) !== null) return { own, refs: refsFolder(own) };
    if (dirname(at) === at) return null;
  }
}

export function readHead({ own }: Pick<GitFolders, 'own'>): string | null {
  return readText(join(own, 'HEAD'));
}

export function readText(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

function ownFolder(folder: string): string | null {
  const dotGit = join(folder, '.git');
  try {
    if (statSync(dotGit).isDirectory()) return dotGit;
  } catch {
    return null;
  }
  const linked = /^gitdir: (.+)$/m.exec(readText(dotGit) ?? '')?.[1]; // a worktree or submodule
  return linked === undefined ? null : resolve(folder, linked);
}

function refsFolder(own: string): string {
  const named = readText(join(own, 'commondir'))?.trim();
  return named === undefined || named === '' ? own : resolve(own, named);
}
