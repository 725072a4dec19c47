/**
 * Ignore rules as git decides them: `.gitignore` at all levels, `info/exclude`, the user's global file, tracked files never;
 * on top of them `.gpurunignore` (same syntax, same levels) and the config's `exclude`. May import core and `node:`.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { systemErrorCode } from '../core/errors.ts';
import { isGlobSpecial, toBytes, wildmatch } from './wildmatch.ts';

interface Pattern {
  readonly text: string;
  readonly negated: boolean;
  readonly foldersOnly: boolean;
  /** Without a slash inside: it is held against names at any depth. */
  readonly nameOnly: boolean;
  /** Length of the part before the first special character. */
  readonly literal: number;
}

/** The patterns of one file. */
export interface PatternList {
  /** The folder that its patterns are relative to: a byte string, empty or ending with a slash. */
  readonly base: string;
  readonly patterns: readonly Pattern[];
}

/** Reads as git does: a byte order mark is skipped, lines may end with CR LF, the last one needs no end. */
export function parsePatterns(content: string | Buffer, base: string): PatternList {
  const bytes = typeof content === 'string' ? Buffer.from(content, 'utf8') : content;
  const text = bytes.toString('latin1').replace(/^\xef\xbb\xbf/, '');
  const lines = text.split('\n').map((line) => line.replace(/\r$/, ''));
  return { base: toBytes(base), patterns: lines.filter((line) => line !== '' && !line.startsWith('#')).map((line) => parsePattern(trimSpaces(line))) };
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
    return fstatSync(fd).isFile() ? parsePatterns(readFileSync(fd), base) : null;
  } finally {
    closeSync(fd);
  }
}

function parsePattern(line: string): Pattern {
  const negated = line.startsWith('!');
  const rest = negated ? line.slice(1) : line;
  const foldersOnly = rest.endsWith('/');
  const text = foldersOnly ? rest.slice(0, -1) : rest;
  const special = [...rest].findIndex(isGlobSpecial);
  return { text, negated, foldersOnly, nameOnly: !text.includes('/'), literal: Math.min(special === -1 ? text.length : special, text.length) };
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
  for (const { base, patterns } of lists) {
    for (let at = patterns.length - 1; at >= 0; at -= 1) {
      const pattern = patterns[at];
      if (pattern === undefined || (pattern.foldersOnly && !isFolder)) continue;
      if (pattern.nameOnly ? matchesName(pattern, name) : matchesPath(pattern, base, path)) return pattern.negated ? 'wanted' : 'ignored';
    }
  }
  return 'undecided';
}

function matchesName({ text, literal }: Pattern, name: string): boolean {
  if (literal === text.length) return text === name;
  if (text.startsWith('*') && ![...text.slice(1)].some(isGlobSpecial)) return name.endsWith(text.slice(1));
  return wildmatch(text, name, false);
}

function matchesPath(pattern: Pattern, base: string, path: string): boolean {
  if (!path.startsWith(base)) return false;
  const anchored = pattern.text.startsWith('/') ? 1 : 0;
  const text = pattern.text.slice(anchored);
  const literal = Math.max(0, pattern.literal - anchored);
  const name = path.slice(base.length);
  if (!name.startsWith(text.slice(0, literal))) return false;
  // git holds only what follows the literal part against the wildcards: "a**" means something else behind a cut.
  return text.length === literal ? name.length === literal : wildmatch(text.slice(literal), name.slice(literal), true);
}
