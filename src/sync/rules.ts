/** Which ignore rules hold where: goes down the tree beside the walk. May import core and `node:`. */
import { dirname, join, relative, sep } from 'node:path';
import { findRepository, type Repository, readRepository } from './git.ts';
import { decide, decidingPattern, type Pattern, type PatternList, parsePatterns, readPatterns } from './ignore.ts';
import { toBytes } from './wildmatch.ts';

export interface IgnoreOptions {
  /** gitignore patterns of the config, relative to the synced folder; they have the last word. */
  readonly exclude: readonly string[];
  /** The user's global file, as `globalExcludesFile` finds it. */
  readonly globalExcludes: string | null;
}

/** What holds in one folder. */
export interface FolderRules {
  /** The folder's path from where all bases start: empty or ending with a slash. */
  readonly prefix: string;
  /** Strongest first: the config's `exclude`, then `.gpurunignore` from the deepest folder up. */
  readonly own: readonly PatternList[];
  /** Strongest first: `.gitignore` from the deepest folder up, `info/exclude`, the global file. */
  readonly git: readonly PatternList[];
  readonly tracked: ReadonlySet<string>;
  readonly foldersOfTracked: ReadonlySet<string>;
  /** The folder is ignored; only what is tracked in it counts. */
  readonly onlyTracked: boolean;
}

const ignoreFiles = ['.gpurunignore', '.gitignore'];

/** Rules of the synced folder itself. `warn` hears when git could not be asked. */
export function openRules(folder: string, options: IgnoreOptions, warn: (text: string) => void): FolderRules {
  const repository = findRepository(folder);
  const above = repository === null ? null : rulesFromTop(repository, folder, options.globalExcludes, warn);
  const rules: FolderRules = above ?? {
    prefix: '',
    own: [],
    git: globalPatterns(options.globalExcludes, ''),
    tracked: new Set(),
    foldersOfTracked: new Set(),
    onlyTracked: false,
  };
  const exclude = parsePatterns(options.exclude.join('\n'), rules.prefix);
  return withOwnFiles({ ...rules, own: [exclude] }, folder, ignoreFiles);
}

/** null when the repository ignores the whole folder, as a home folder kept in git does: its rules then say nothing about what is inside. */
function rulesFromTop(repository: Repository, folder: string, globalExcludes: string | null, warn: (text: string) => void): FolderRules | null {
  const steps = relative(repository.top, folder)
    .split(sep)
    .filter((step) => step !== '');
  let rules = repositoryRules(repository, '', globalExcludes, warn);
  let at = repository.top;
  for (const step of steps) {
    rules = withGitignore(rules, at);
    if (decide(rules.git, toBytes(`${rules.prefix}${step}`), true) === 'ignored') return null;
    rules = { ...rules, prefix: `${rules.prefix}${step}/` };
    at = join(at, step);
  }
  return rules;
}

function repositoryRules(repository: Repository, prefix: string, globalExcludes: string | null, warn: (text: string) => void): FolderRules {
  if (repository.problem !== null)
    warn(`git can't say which ignored files of ${repository.top} are tracked, so none of those are synced: ${repository.problem}`);
  const info = readPatterns(repository.infoExclude, prefix, true);
  const tracked = new Set(repository.trackedIgnored.map((path) => `${prefix}${path}`));
  const foldersOfTracked = new Set<string>();
  for (const path of tracked) for (let at = dirname(path); at !== '.' && !foldersOfTracked.has(at); at = dirname(at)) foldersOfTracked.add(at);
  return { prefix, own: [], git: [...(info === null ? [] : [info]), ...globalPatterns(globalExcludes, prefix)], tracked, foldersOfTracked, onlyTracked: false };
}

function globalPatterns(file: string | null, prefix: string): PatternList[] {
  const list = file === null ? null : readPatterns(file, prefix, true);
  return list === null ? [] : [list];
}

function withGitignore(rules: FolderRules, folder: string): FolderRules {
  const list = readPatterns(join(folder, '.gitignore'), rules.prefix, false);
  return list === null ? rules : { ...rules, git: [list, ...rules.git] };
}

/** The config's `exclude` stays the first of the own lists. */
function withOwnFiles(rules: FolderRules, folder: string, names: readonly string[]): FolderRules {
  const list = names.includes('.gpurunignore') ? readPatterns(join(folder, '.gpurunignore'), rules.prefix, true) : null;
  const [exclude, ...rest] = rules.own;
  const own = list === null || exclude === undefined ? rules.own : [exclude, list, ...rest];
  return names.includes('.gitignore') ? withGitignore({ ...rules, own }, folder) : { ...rules, own };
}

/** Rules inside a folder below, with these `names` in it. A repository of its own in there starts its own git rules, as in git. */
export function enterFolder(
  rules: FolderRules,
  name: string,
  absolute: string,
  names: readonly string[],
  globalExcludes: string | null,
  warn: (text: string) => void,
): FolderRules {
  const prefix = `${rules.prefix}${name}/`;
  const onlyTracked = verdict(rules, name, true) === 'only-tracked';
  if (!names.includes('.git')) return withOwnFiles({ ...rules, prefix, onlyTracked }, absolute, names);
  return withOwnFiles({ ...repositoryRules(readRepository(absolute), prefix, globalExcludes, warn), own: rules.own }, absolute, names);
}

/** Nothing in the folder can be left out. */
export function takesAll({ own, git, onlyTracked }: FolderRules): boolean {
  return !onlyTracked && own.every(({ patterns }) => patterns.length === 0) && git.every(({ patterns }) => patterns.length === 0);
}

/** What to do with one name in the folder. `only-tracked`: an ignored folder with tracked files in it. */
export function verdict(rules: FolderRules, name: string, isFolder: boolean): 'take' | 'only-tracked' | 'leave' {
  const path = `${rules.prefix}${name}`;
  const bytes = toBytes(path);
  const own = decide(rules.own, bytes, isFolder);
  if (own === 'ignored') return 'leave';
  if (!rules.onlyTracked && (own === 'wanted' || decide(rules.git, bytes, isFolder) !== 'ignored')) return 'take';
  if (rules.tracked.has(path)) return 'take';
  return isFolder && rules.foldersOfTracked.has(path) ? 'only-tracked' : 'leave';
}

/** Why `verdict` leaves something: the pattern, and the list that it is in. null: none does. Only for those who tell reasons: `verdict` is what decides. */
export function leavingPattern(rules: FolderRules, name: string, isFolder: boolean): { readonly list: PatternList; readonly pattern: Pattern } | null {
  const bytes = toBytes(`${rules.prefix}${name}`);
  const own = decidingPattern(rules.own, bytes, isFolder);
  if (own !== null) return own.pattern.negated && rules.onlyTracked ? null : own;
  const git = decidingPattern(rules.git, bytes, isFolder);
  return git?.pattern.negated === true ? null : git;
}
