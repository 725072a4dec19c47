/** Files that decide what is wanted, outside of the folders that are watched. May import core, protocol and `node:`. */
import { lstatSync, readFileSync, statSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import { findRepository } from './git.ts';
import type { ScanOptions } from './scan.ts';

/** Of the repository around the folder, and the user's own. Asks git. */
export function outerRuleFiles(top: string, { ignore }: ScanOptions): readonly string[] {
  if (ignore === null) return [];
  const repository = findRepository(top);
  const files = ignore.globalExcludes === null ? [] : [ignore.globalExcludes];
  if (repository === null) return files;
  const steps = relative(repository.top, top).split(sep);
  const above = steps.map((_step, at) => join(repository.top, ...steps.slice(0, at), '.gitignore'));
  return [...files, ...gitFiles(repository.top), repository.infoExclude, ...above];
}

/** What changes when git tracks something else in the repository. Of a worktree `.git` is a file that says where the index lies. */
export function gitFiles(folder: string): readonly string[] {
  const git = join(folder, '.git');
  try {
    if (lstatSync(git).isDirectory()) return [git, join(git, 'index'), join(git, 'info', 'exclude')];
    const [, elsewhere = '.git'] = /^gitdir: (.+)/.exec(readFileSync(git, 'utf8')) ?? [];
    return [git, join(resolve(folder, elsewhere), 'index')];
  } catch {
    return [git];
  }
}

/** Changes with the file; of a folder only with which one it is: what is in it changes all the time. */
export function looksOf(path: string): string {
  try {
    const stats = statSync(path, { bigint: true });
    return stats.isDirectory() ? `${stats.dev}:${stats.ino}` : `${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`;
  } catch {
    return 'none';
  }
}
