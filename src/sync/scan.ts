/**
 * Lists what is to be synced: one synchronous walk, which is the fastest way through a warm tree. Never follows links, reads no
 * content. A folder in which nothing has changed since it was held is not looked at entry by entry. May import core, protocol and `node:`.
 */
import { lstatSync, readdirSync, readlinkSync, realpathSync, type Stats, statSync } from 'node:fs';
import { basename, join, sep } from 'node:path';
import { GpuRunError, systemErrorCode } from '../core/errors.ts';
import { smallFileBytes } from '../protocol/content-id.ts';
import type { Row } from '../protocol/packed-folder.ts';
import { type DirEntry, type FileEntry, type LinkEntry, parentOf, pathProblem, targetProblem, temporaryPrefix } from '../protocol/sync.ts';
import { entryOfRow, type HeldFolders, heldFlags } from './held.ts';
import { enterFolder, type FolderRules, type IgnoreOptions, openRules, takesAll, verdict } from './rules.ts';
import { compareFolder, folderLook, rowsByName } from './scan-compare.ts';
import { isAccented, leavingLinksWarning, noteLink, twinsAmong, twinWarning } from './scan-notes.ts';

/** A file that was found; its content is identified later. */
export interface FoundFile extends Omit<FileEntry, 'sha256'> {
  readonly absolute: string;
}

export type Found = FoundFile | DirEntry | LinkEntry;

export interface ScanOptions {
  /** Absolute: a folder, or for data a single file. */
  readonly from: string;
  /** Its place relative to the workdir; empty: the workdir itself. */
  readonly to: string;
  /** null: everything is wanted. */
  readonly ignore: IgnoreOptions | null;
  /** Absolute paths that are never sent, whatever the rules say: gpu-run's own state with its keys. */
  readonly never: readonly string[];
  readonly guide?: Guide;
}

/** Goes along with a walk. Folders are named relative to the source. */
export interface Guide {
  /** Before it is listed. */
  enter(folder: string): void;
  /** Before it is looked at. */
  learn(folder: string, absolute: string, rules: FolderRules | null, names: readonly string[]): void;
}

export interface Scan {
  /** Parents before children, names in order. */
  readonly found: readonly Found[];
  /** Relative to the source. */
  readonly unreadable: readonly string[];
  readonly warnings: readonly string[];
}

/** One folder that holds something, as it was found. Parents come before what is in them. */
export interface ScannedFolder {
  /** Relative to the workdir. */
  readonly path: string;
  /** By name. A file's hash is there when it was held and the file still looks the same. null: all of it is as it was held. */
  readonly rows: readonly Row[] | null;
}

/** What a walk has to say beside what it finds; whole at its end. */
export interface ScanNotes {
  readonly unreadable: string[];
  readonly warnings: string[];
}

interface Walk extends ScanNotes {
  readonly options: ScanOptions;
  readonly held: HeldFolders;
  readonly never: ReadonlySet<string>;
  readonly leavingLinks: string[];
}

/** @throws GpuRunError `bad-input` when the source doesn't exist or is the wrong thing */
export function scan(options: ScanOptions): Scan {
  const notes: ScanNotes = { unreadable: [], warnings: [] };
  const top = sourceTop(options);
  const found = new Map<string, readonly Row[]>();
  for (const { path, rows } of walkSource(options, new Map(), notes)) found.set(path, rows ?? []);
  const list = (folder: string): Found[] =>
    (found.get(folder) ?? []).flatMap((row) => {
      const entry = entryOfRow(folder, row);
      if (entry.kind === 'dir') return [entry, ...list(entry.path)];
      if (entry.kind === 'link') return [entry];
      const { sha256, ...facts } = entry;
      return [{ ...facts, absolute: absoluteOf(entry.path, top, options) }];
    });
  return { ...notes, found: list(topOf(options)) };
}

/** The folder that the source's first entries lie in, relative to the workdir: data has a name of its own there. */
function topOf({ to }: ScanOptions): string {
  return to === '' ? '' : parentOf(to);
}

/** Where an entry lies on this computer. `top`: as `sourceTop` gives it. */
export function absoluteOf(path: string, top: string, { to }: ScanOptions): string {
  if (path === to) return top;
  return `${top}${sep}${to === '' ? path : path.slice(to.length + 1)}`;
}

/** `held`: of an earlier walk of the same source. @throws GpuRunError `bad-input` as `scan` */
export function* walkSource(options: ScanOptions, held: HeldFolders, notes: ScanNotes): Generator<ScannedFolder> {
  const top = sourceTop(options);
  const walk: Walk = { ...notes, options, held, never: new Set(options.never.map(realOrSame)), leavingLinks: [] };
  const stats = lstatSync(top);
  if (options.to !== '') yield topFolder(stats, walk);
  if (stats.isDirectory()) {
    const rules = options.ignore === null ? null : openRules(top, options.ignore, (text) => notes.warnings.push(text));
    options.guide?.enter('');
    yield* walkFolder(top, '', rules, namesIn(top, '', walk), walk);
  }
  if (walk.leavingLinks.length > 0) notes.warnings.push(leavingLinksWarning(walk.leavingLinks));
}

function topFolder(stats: Stats, { options, held }: Walk): ScannedFolder {
  const path = topOf(options);
  const name = options.to.slice(path === '' ? 0 : path.length + 1);
  return { path, rows: [rowOf(name, stats, rowsByName(held.get(path)).get(name))] };
}

/** What a source really is. @throws GpuRunError `bad-input` as `scan` */
export function sourceTop({ from, to, ignore }: ScanOptions): string {
  const stats = statSync(from, { throwIfNoEntry: false });
  if (stats === undefined)
    throw new GpuRunError('bad-input', `There is nothing to sync at ${from}.`, { hints: ['Check `sync` in gpu-run.yaml: paths are relative to that file.'] });
  if (stats.isDirectory()) return realpathSync(from);
  if (ignore !== null || to === '')
    throw new GpuRunError('bad-input', `${from} is a file, and the code to sync has to be a folder.`, {
      hints: [`Write the folder that holds it: code: ${join(from, '..')}`],
    });
  if (!stats.isFile())
    throw new GpuRunError('bad-input', `${from} is neither a file nor a folder.`, { hints: ['Data comes from files and folders; copy it into one first.'] });
  return realpathSync(from);
}

function realOrSame(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function* walkFolder(absolute: string, inside: string, rules: FolderRules | null, names: readonly string[], walk: Walk): Generator<ScannedFolder> {
  const path = inside === '' ? walk.options.to : pathIn(walk.options.to, inside);
  walk.options.guide?.learn(inside, absolute, rules, names);
  const folders: string[] = [];
  let rows: readonly Row[] | null;
  try {
    rows = lookInto(absolute, inside, rules, names, walk, folders);
  } catch (error) {
    if (!isRefused(error)) throw error;
    walk.unreadable.push(inside === '' ? basename(absolute) : inside);
    return;
  }
  if (rows === null || rows.length > 0) yield { path, rows };
  for (const name of folders) yield* walkInto(`${absolute}${sep}${name}`, pathIn(inside, name), rules, walk);
}

/** One folder alone; `folders`: those that a walk would go into. `rules`: as a guide has learnt them. null: it takes a walk to tell, for there is something to say. */
export function rescan(
  options: ScanOptions,
  held: HeldFolders,
  { inside, absolute, rules }: { readonly inside: string; readonly absolute: string; readonly rules: FolderRules | null },
): { readonly scanned: ScannedFolder; readonly folders: readonly string[] } | null {
  const walk: Walk = { unreadable: [], warnings: [], options, held, never: new Set(options.never.map(realOrSame)), leavingLinks: [] };
  const folders: string[] = [];
  const rows = lookInto(absolute, inside, rules, namesIn(absolute, inside, walk), walk, folders);
  const notes = walk.unreadable.length + walk.warnings.length + walk.leavingLinks.length;
  return notes > 0 ? null : { scanned: { path: inside === '' ? options.to : pathIn(options.to, inside), rows }, folders };
}

function pathIn(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`;
}

/** Its entries; null: they are as they were held. `folders` gets the ones to walk into. */
function lookInto(absolute: string, inside: string, rules: FolderRules | null, names: readonly string[], walk: Walk, folders: string[]): readonly Row[] | null {
  const compared = compareFolder(walk.held.get(inside === '' ? walk.options.to : pathIn(walk.options.to, inside)));
  const filter = rules === null || takesAll(rules) ? null : rules;
  const accented: string[] = [];
  for (const name of names) {
    const child = `${absolute}${sep}${name}`;
    const stats = wantedStats(child, name, filter, walk);
    if (stats === null) continue;
    if (isAccented(name)) accented.push(name);
    const same = compared.same(name, stats);
    if (same === null) {
      const row = take(child, pathIn(inside, name), name, stats, compared.known(name), walk);
      if (row === null) continue;
      compared.add(row);
    } else if (stats.isSymbolicLink()) noteLink(pathIn(inside, name), String(same.row().extra), walk);
    if (stats.isDirectory()) folders.push(name);
  }
  if (accented.length > 1) for (const twin of twinsAmong(accented)) walk.warnings.push(twinWarning(pathIn(inside, twin)));
  return compared.rows();
}

/** null: it isn't wanted, or was deleted since it was listed. */
function wantedStats(child: string, name: string, rules: FolderRules | null, { never }: Walk): Stats | null {
  if (name === '.git' || name.startsWith(temporaryPrefix) || (never.size > 0 && never.has(child))) return null;
  const stats = lstatSync(child, { throwIfNoEntry: false });
  if (stats === undefined || (rules !== null && verdict(rules, name, stats.isDirectory()) === 'leave')) return null;
  return stats;
}

function* walkInto(absolute: string, path: string, rules: FolderRules | null, walk: Walk): Generator<ScannedFolder> {
  walk.options.guide?.enter(path);
  const names = namesIn(absolute, path, walk);
  let inside: FolderRules | null;
  try {
    inside = rules === null || names.length === 0 ? rules : rulesInside(rules, absolute, names, walk);
  } catch (error) {
    if (!isRefused(error)) throw error;
    walk.unreadable.push(path);
    return;
  }
  yield* walkFolder(absolute, path, inside, names, walk);
}

/** null: it can't be synced, and that is noted. */
function take(absolute: string, path: string, name: string, stats: Stats, known: Row | undefined, walk: Walk): Row | null {
  const problem = known === undefined ? pathProblem(pathIn(walk.options.to, path)) : null;
  if (problem !== null) walk.warnings.push(`${path} was skipped: ${problem}`);
  else if (stats.isSymbolicLink()) return takeLink(absolute, path, name, stats, walk);
  else if (stats.isFile() || stats.isDirectory()) return rowOf(name, stats, known);
  else walk.warnings.push(`${path} was skipped: it is neither a file, a folder nor a link`);
  return null;
}

function rulesInside(rules: FolderRules, absolute: string, names: readonly string[], walk: Walk): FolderRules {
  return enterFolder(rules, basename(absolute), absolute, names, walk.options.ignore?.globalExcludes ?? null, (text) => walk.warnings.push(text));
}

function namesIn(absolute: string, inside: string, walk: Walk): string[] {
  try {
    const names = readdirSync(absolute);
    return (names.some((name) => name.includes('\uFFFD')) ? readableNames(absolute, inside, walk) : names).sort();
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    if (!isRefused(error)) throw error;
    walk.unreadable.push(inside === '' ? basename(absolute) : inside);
    return [];
  }
}

function isRefused(error: unknown): boolean {
  return ['EACCES', 'EPERM'].includes(systemErrorCode(error) ?? '');
}

/** Node writes U+FFFD for bytes that aren't UTF-8: such a name leads nowhere. */
function readableNames(absolute: string, inside: string, walk: Walk): string[] {
  const names: string[] = [];
  for (const bytes of readdirSync(absolute, 'buffer')) {
    const name = bytes.toString('utf8');
    if (Buffer.from(name, 'utf8').equals(bytes)) names.push(name);
    else walk.warnings.push(`${inside === '' ? '' : `${inside}/`}${name} was skipped: its name isn't UTF-8; rename it to sync it`);
  }
  return names;
}

/** A folder's own times and number say nothing of what is in it. */
function rowOf(name: string, stats: Stats, known: Row | undefined): Row {
  const { ino, size, mtimeMs, ctimeMs } = stats;
  const mode = stats.mode & 0o777;
  const mtime = toMicroseconds(mtimeMs);
  if (stats.isDirectory()) return { name, flags: heldFlags.dir, mode, mtime, look: folderLook(stats), sha256: null };
  const isKnown = known !== undefined && (known.flags & heldFlags.known) !== 0 && looksLike(known, stats);
  const flags = heldFlags.file | (isKnown ? heldFlags.known : 0);
  const look = { ino, size, mtimeMs, ctimeMs, mode };
  return { name, flags, mode, mtime, look, sha256: isKnown ? known.sha256 : null, ...(size > smallFileBytes ? { extra: stats.birthtimeMs } : {}) };
}

/** But for its mode, which is no content. */
function looksLike({ look }: Row, { ino, size, mtimeMs, ctimeMs }: Stats): boolean {
  return look.ino === ino && look.size === size && look.mtimeMs === mtimeMs && look.ctimeMs === ctimeMs;
}

/** Whole microseconds, at most what is exact in JSON (the year 2255): a file from the future is a file all the same. */
export function toMicroseconds(ms: number): number {
  return Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, Math.floor(ms * 1000)));
}

function takeLink(absolute: string, path: string, name: string, stats: Stats, walk: Walk): Row | null {
  const bytes = readlinkSync(absolute, 'buffer');
  const target = bytes.toString('utf8');
  if (!Buffer.from(target, 'utf8').equals(bytes) || targetProblem(target) !== null) {
    walk.warnings.push(`${path} was skipped: its target isn't UTF-8, or too long`);
    return null;
  }
  noteLink(path, target, walk);
  const { ino, size, mtimeMs, ctimeMs, mode } = stats;
  return { name, flags: heldFlags.link, mode: 0, mtime: 0, look: { ino, size, mtimeMs, ctimeMs, mode }, sha256: null, extra: target };
}
