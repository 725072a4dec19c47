/**
 * What git knows and files alone don't tell: the top of the repository, which ignored files are tracked, where the user's
 * global excludes are. May import core and `node:`.
 */
import { execFileSync } from 'node:child_process';
import { lstatSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';

export interface Repository {
  /** Absolute path of its working tree. */
  readonly top: string;
  /** Absolute path of `info/exclude`; it may not exist. */
  readonly infoExclude: string;
  /** Tracked files that the ignore rules would ignore, relative to `top`. */
  readonly trackedIgnored: readonly string[];
  /** Why git could not be asked; null: it answered. */
  readonly problem: string | null;
}

/** The repository that `folder` belongs to, or null. Needs no git for that; what only git knows is left empty without it. */
export function findRepository(folder: string): Repository | null {
  for (let at = resolve(folder); ; at = dirname(at)) {
    if (lstatSync(join(at, '.git'), { throwIfNoEntry: false }) !== undefined) return readRepository(at);
    if (dirname(at) === at) return null;
  }
}

/** @param top a folder that holds `.git`: a folder, or a file in worktrees and submodules */
export function readRepository(top: string): Repository {
  const gitDir = join(top, '.git');
  try {
    const infoExclude = lstatSync(gitDir).isDirectory()
      ? join(gitDir, 'info', 'exclude')
      : resolve(top, git(top, ['rev-parse', '--git-path', 'info/exclude']).trimEnd());
    const listed = git(top, ['ls-files', '--cached', '--ignored', '--exclude-standard', '-z']);
    return { top, infoExclude, trackedIgnored: listed.split('\0').filter((path) => path !== ''), problem: null };
  } catch (error) {
    return {
      top,
      infoExclude: join(gitDir, 'info', 'exclude'),
      trackedIgnored: [],
      problem: error instanceof Error ? (error.message.split('\n').find((line) => line.startsWith('fatal:')) ?? error.message) : String(error),
    };
  }
}

/** Whether git tracks anything at or below `path`, which is relative to `folder`. Without a repository, or without git: nothing. */
export function hasTracked(folder: string, path: string): boolean {
  for (let at = resolve(folder); ; at = dirname(at)) {
    if (lstatSync(join(at, '.git'), { throwIfNoEntry: false }) !== undefined) return listsTracked(at, join(resolve(folder), path));
    if (dirname(at) === at) return false;
  }
}

function listsTracked(top: string, path: string): boolean {
  try {
    return git(top, ['ls-files', '-z', '--', relative(top, path) || '.']) !== '';
  } catch {
    return false;
  }
}

/** Explicit paths: variables such as GIT_DIR, set inside git's hooks, would lead to another repository. */
function git(top: string, argv: readonly string[]): string {
  return execFileSync('git', [`--git-dir=${join(top, '.git')}`, `--work-tree=${top}`, ...argv], {
    cwd: top,
    encoding: 'utf8',
    maxBuffer: 2 ** 30,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** The file of ignore patterns for all repositories of this user, as git finds it; null: switched off. It may not exist. */
export function globalExcludesFile(folder: string, configHome: string = join(homedir(), '.config')): string | null {
  try {
    const path = execFileSync('git', ['config', '--get', '--path', 'core.excludesFile'], {
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).replace(/\n$/, '');
    return path === '' ? null : resolve(folder, path);
  } catch {
    return join(configHome, 'git', 'ignore'); // not set, or no git
  }
}
