/**
 * Ignore rules as git decides them: `.gitignore` at all levels, `info/exclude`, the user's global file, tracked files never;
 * on top of them `.gpurunignore` (same syntax, same levels) and the config's `exclude`. May import core and `node:`.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { systemErrorCode } from '../core/errors.ts';
import { compilePattern, isGlobSpecial, toBytes } from './wildmatch.ts';

export interface Pattern {
  /** Where it stands, from 1 on, and as it is written there. */
  readonly line: number;
  readonly text: string;
  readonly negated: boolean;
  readonly foldersOnly: boolean;
  /** Without a slash inside: it is held against names at any depth. */
  readonly nameOnly: boolean;
  /** What stands before the first special character. */
  readonly literal: string;
  /** For what follows the literal part: `exact` nothing may, null nothing can. */
  readonly rest: RegExp | 'exact' | null;
}

/** The patterns of one file. */
export interface PatternList {
  /** Absolute path; null: they come from no file. */
  readonly file: string | null;
  /** The folder that its patterns are relative to: a byte string, empty or ending with a slash. */
  readonly base: string;
  readonly patterns: readonly Pattern[];
}

/** Reads as git does: a byte order mark is skipped, lines may end with CR LF, the last one needs no end. */
export function parsePatterns(content: string | Buffer, base: string, file: string | null = null): PatternList {
  const bytes = typeof content === 'string' ? Buffer.from(content, 'utf8') : content;
  const text = bytes.toString('latin1').replace(/^\xef\xbb\xbf/, '');
  const lines = text.split('\n').map((line) => line.replace(/\r$/, ''));
  const patterns = lines.flatMap((line, index) => (line === '' || line.startsWith('#') ? [] : [parsePattern(trimSpaces(line), index + 1)]));
  return { file, base: toBytes(base), patterns };
}

/** A missing file, and a `.gitignore` that is no regular file (git follows no links there), has no patterns. */
export function readPatterns(file: string, base: string, followLinks: boolean): PatternList | null {
  let fd: number;
  try {
    fd = openSync(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (followLinks ? 0 : (constants.O_NOFOLLOW ?? 0)));
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'EISDIR'].includes(systemErrorCode(error) ?? '')) return null;
    throw error;
  }
  try {
    return fstatSync(fd).isFile() ? parsePatterns(readFileSync(fd), base, file) : null;
  } finally {
    closeSync(fd);
  }
}

function parsePattern(written: string, line: number): Pattern {
  const negated = written.startsWith('!');
  const given = negated ? written.slice(1) : written;
  const foldersOnly = given.endsWith('/');
  const text = foldersOnly ? given.slice(0, -1) : given;
  const nameOnly = !text.includes('/');
  const anchored = text.startsWith('/') ? text.slice(1) : text;
  const special = [...anchored].findIndex(isGlobSpecial);
  // git cuts paths behind the literal part and holds only the rest against the wildcards: "a**" means something else there.
  const literal = special === -1 || nameOnly ? '' : anchored.slice(0, special);
  const shape = { line, text: written, negated, foldersOnly, nameOnly };
  if (special === -1) return { ...shape, literal: anchored, rest: 'exact' };
  return { ...shape, literal, rest: compilePattern(anchored.slice(literal.length), !nameOnly) };
}

/** Trailing spaces go, unless a backslash stands before them. */
function trimSpaces(line: string): string {
  let end = 0;
  for (let at = 0; at < line.length; at += 1) {
    if (line[at] === '\\') {
      at += 1;
      if (at >= line.length) return line;
      end = at + 1;
    } else if (line[at] !== ' ') end = at + 1;
  }
  return line.slice(0, end);
}

/** 'undecided' when no pattern says anything. `path` is a byte string relative to where the bases start. */
export function decide(lists: readonly PatternList[], path: string, isFolder: boolean): 'ignored' | 'wanted' | 'undecided' {
  const name = path.slice(path.lastIndexOf('/') + 1);
  for (const list of lists) {
    const last = lastMatch(list, name, path, isFolder);
    if (last !== undefined) return last.negated ? 'wanted' : 'ignored';
  }
  return 'undecided';
}

/** The pattern by which `decide` decides, and the list that it is in; null: none says anything. For those who have to give reasons. */
export function decidingPattern(
  lists: readonly PatternList[],
  path: string,
  isFolder: boolean,
): { readonly list: PatternList; readonly pattern: Pattern } | null {
  const name = path.slice(path.lastIndexOf('/') + 1);
  for (const list of lists) {
    const pattern = lastMatch(list, name, path, isFolder);
    if (pattern !== undefined) return { list, pattern };
  }
  return null;
}

function lastMatch({ base, patterns }: PatternList, name: string, path: string, isFolder: boolean): Pattern | undefined {
  const below = path.startsWith(base) ? path.slice(base.length) : null;
  return patterns.findLast((pattern) => {
    const subject = pattern.nameOnly ? name : below;
    return subject !== null && (isFolder || !pattern.foldersOnly) && matches(pattern, subject);
  });
}

function matches({ literal, rest }: Pattern, subject: string): boolean {
  if (rest === 'exact') return subject === literal;
  return rest !== null && subject.startsWith(literal) && rest.test(subject.slice(literal.length));
}
