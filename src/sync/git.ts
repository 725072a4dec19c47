/**
 * What git knows and files alone don't tell: the top of the repository, which ignored files are tracked, where the user's
 * global excludes are. May import core and `node:`.
 */
import { execFileSync } from 'node:child_process';
import { lstatSync, realpathSync } from 'node:fs';
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

/**
 * Asks git about the repository whose top is `top`, and about no other. git finds it by itself, so that it refuses one of a stranger
 * (CVE-2022-24765); nothing that the repository's own config names is run, for its files may have come from a machine.
 */
function git(top: string, argv: readonly string[]): string {
  const folder = realpathSync(top);
  return execFileSync('git', ['-c', 'core.fsmonitor=false', '-c', 'core.hooksPath=/dev/null', '--literal-pathspecs', ...argv], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...plainEnv(), GIT_CEILING_DIRECTORIES: dirname(folder), GIT_OPTIONAL_LOCKS: '0', GIT_NO_LAZY_FETCH: '1' },
    maxBuffer: 2 ** 30,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Set inside git's hooks: they would lead to another repository or index. */
const leadsElsewhere = /^GIT_(DIR|WORK_TREE|INDEX_FILE|COMMON_DIR|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|NAMESPACE|PREFIX)$/;

function plainEnv(): NodeJS.ProcessEnv {
  // biome-ignore lint/plugin: no value is used; the child gets what we were given, less what would mislead it
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !leadsElsewhere.test(name)));
}

/** The file of ignore patterns for all repositories of this user, as git finds it; null: switched off. It may not exist. */
export function globalExcludesFile(folder: string, configHome: string = join(homedir(), '.config')): string | null {
  try {
    const path = execFileSync('git', ['config', '--get', '--path', 'core.excludesFile'], {
      cwd: folder,
      encoding: 'utf8',
      env: plainEnv(),
      stdio: ['ignore', 'pipe', 'ignore'],
    }).replace(/\n$/, '');
    return path === '' ? null : resolve(folder, path);
  } catch {
    return join(configHome, 'git', 'ignore'); // not set, or no git
  }
}
