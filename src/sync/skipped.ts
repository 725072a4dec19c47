/**
 * What a scan leaves out, and by which rule of which file: for those who want to know before anything is sent. Walks the same way by the
 * same rules as `scan`, which stays free of reasons. May import core, protocol and `node:`.
 */
import { type Dirent, lstatSync, readdirSync, realpathSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { systemErrorCode } from '../core/errors.ts';
import { temporaryPrefix } from '../protocol/sync.ts';
import { enterFolder, type FolderRules, leavingPattern, openRules, verdict } from './rules.ts';
import type { ScanOptions } from './scan.ts';

/** `pattern`: a line of an ignore file; `file` null: of the patterns that the options hold, `line` then counts those from 1 on. */
export type SkipReason =
  | { readonly kind: 'pattern'; readonly file: string | null; readonly line: number; readonly pattern: string }
  | { readonly kind: 'built-in'; readonly text: string };

export interface Skipped {
  /** Relative to the workdir. */
  readonly path: string;
  readonly kind: 'folder' | 'file' | 'link' | 'other';
  /** In it, of a folder. */
  readonly files: number;
  readonly bytes: number;
  /** There are more: some can't be read, or they were too many to count. */
  readonly atLeast: boolean;
  readonly reason: SkipReason;
}

interface Walk {
  readonly options: ScanOptions;
  readonly never: ReadonlySet<string>;
  readonly skipped: Skipped[];
  readonly signal: AbortSignal;
}

/** In the order of the walk. A folder that is left out whole is one of them, and nothing in it. Of data only what is never sent. */
export async function listSkipped(options: ScanOptions, signal: AbortSignal): Promise<readonly Skipped[]> {
  const top = realpathSync(options.from);
  if (!lstatSync(top).isDirectory()) return [];
  const walk: Walk = { options, never: new Set(options.never.map(realOrSame)), skipped: [], signal };
  const rules = options.ignore === null ? null : openRules(top, options.ignore, () => {}); // `scan` warns
  await walkFolder(top, '', rules, null, walk);
  return walk.skipped;
}

function realOrSame(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** `above`: why the folder counts as left out where git tracks some of what is in it. */
async function walkFolder(absolute: string, inside: string, rules: FolderRules | null, above: SkipReason | null, walk: Walk): Promise<void> {
  walk.signal.throwIfAborted();
  for (const entry of entriesIn(absolute)) {
    const { name } = entry;
    const child = join(absolute, name);
    const path = inside === '' ? name : `${inside}/${name}`;
    const builtIn = builtInReason(name, child, walk);
    if (builtIn !== null) await skip(child, path, entry, builtIn, walk);
    else if (rules === null) {
      if (entry.isDirectory()) await walkFolder(child, path, null, null, walk);
    } else await decideOn(child, path, entry, rules, above, walk);
  }
}

async function decideOn(child: string, path: string, entry: Dirent, rules: FolderRules, above: SkipReason | null, walk: Walk): Promise<void> {
  const said = verdict(rules, entry.name, entry.isDirectory());
  if (said === 'leave') return await skip(child, path, entry, reasonFor(rules, entry, above), walk);
  if (!entry.isDirectory()) return;
  const inner = enterUnlessRefused(rules, child, walk);
  if (inner !== null) await walkFolder(child, path, inner, said === 'only-tracked' ? reasonFor(rules, entry, above) : null, walk);
}

/** null: its ignore file can't be read, which `scan` has said. */
function enterUnlessRefused(rules: FolderRules, absolute: string, { options }: Walk): FolderRules | null {
  try {
    const names = entriesIn(absolute).map(({ name }) => name);
    return enterFolder(rules, basename(absolute), absolute, names, options.ignore?.globalExcludes ?? null, () => {});
  } catch (error) {
    if (!isRefused(error)) throw error;
    return null;
  }
}

function builtInReason(name: string, child: string, { never }: Walk): SkipReason | null {
  if (name === '.git') return { kind: 'built-in', text: "git's own records are never sent" };
  if (name.startsWith(temporaryPrefix)) return { kind: 'built-in', text: 'a file that gpu-run had not finished writing' };
  return never.has(child) ? { kind: 'built-in', text: "gpu-run's own state, with its keys, is never sent" } : null;
}

function reasonFor(rules: FolderRules, entry: Dirent, above: SkipReason | null): SkipReason {
  const found = leavingPattern(rules, entry.name, entry.isDirectory());
  if (found === null) return above ?? { kind: 'built-in', text: 'it lies in a folder that is left out' };
  const { list, pattern } = found;
  return { kind: 'pattern', file: list.file, line: pattern.line, pattern: Buffer.from(pattern.text, 'latin1').toString('utf8') };
}

async function skip(absolute: string, path: string, entry: Dirent, reason: SkipReason, walk: Walk): Promise<void> {
  const { to } = walk.options;
  const kind = entry.isDirectory() ? 'folder' : entry.isFile() ? 'file' : entry.isSymbolicLink() ? 'link' : 'other';
  const size = kind === 'folder' ? await measure(absolute, walk.signal) : { files: 1, bytes: kind === 'file' ? sizeOf(absolute) : 0, atLeast: false };
  walk.skipped.push({ path: to === '' ? path : `${to}/${path}`, kind, ...size, reason });
}

function sizeOf(absolute: string): number {
  return lstatSync(absolute, { throwIfNoEntry: false })?.size ?? 0;
}

/** Of one folder that is left out, so many are counted. */
const countedAtMost = 500_000;
const yieldEvery = 4_000;

async function measure(top: string, signal: AbortSignal): Promise<{ readonly files: number; readonly bytes: number; readonly atLeast: boolean }> {
  const folders = [top];
  let files = 0;
  let bytes = 0;
  let atLeast = false;
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of entriesIn(folder, () => (atLeast = true))) {
      const absolute = join(folder, entry.name);
      if (entry.isDirectory()) {
        folders.push(absolute);
        continue;
      }
      if (files === countedAtMost) return { files, bytes, atLeast: true };
      files += 1;
      if (entry.isFile()) bytes += sizeOf(absolute);
      if (files % yieldEvery !== 0) continue;
      await yieldToOthers();
      signal.throwIfAborted();
    }
  }
  return { files, bytes, atLeast };
}

function entriesIn(absolute: string, onRefused: () => void = () => {}): Dirent[] {
  try {
    return readdirSync(absolute, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    if (isRefused(error)) onRefused();
    else if (systemErrorCode(error) !== 'ENOENT' && systemErrorCode(error) !== 'ENOTDIR') throw error;
    return [];
  }
}

function isRefused(error: unknown): boolean {
  return ['EACCES', 'EPERM'].includes(systemErrorCode(error) ?? '');
}
