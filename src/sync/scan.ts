/**
 * Lists what is to be synced: one synchronous walk, which is the fastest way through a warm tree. Never follows links, reads no
 * content. May import core, protocol and `node:`.
 */
import { type BigIntStats, lstatSync, readdirSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { basename, join, posix } from 'node:path';
import { GpuRunError, systemErrorCode } from '../core/errors.ts';
import { type DirEntry, type FileEntry, type LinkEntry, pathProblem, targetProblem, temporaryPrefix, toMtime } from '../protocol/sync.ts';
import { enterFolder, type FolderRules, type IgnoreOptions, openRules, verdict } from './rules.ts';

/** A file that was found; its content is identified later. */
export interface FoundFile extends Omit<FileEntry, 'sha256'> {
  readonly absolute: string;
  /** Changes with everything that could have changed the content; only compared on this computer. */
  readonly stamp: string;
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
}

export interface Scan {
  /** Parents before children, names in order. */
  readonly found: readonly Found[];
  /** Relative to the source. */
  readonly unreadable: readonly string[];
  readonly warnings: readonly string[];
}

interface Walk {
  readonly options: ScanOptions;
  readonly never: ReadonlySet<string>;
  readonly found: Found[];
  readonly unreadable: string[];
  readonly warnings: string[];
  readonly leavingLinks: string[];
}

/** @throws GpuRunError `bad-input` when the source doesn't exist or is the wrong thing */
export function scan(options: ScanOptions): Scan {
  const top = resolveSource(options);
  const walk: Walk = { options, never: new Set(options.never.map(realOrSame)), found: [], unreadable: [], warnings: [], leavingLinks: [] };
  if (!lstatSync(top).isDirectory()) takeFile(top, options.to, statOf(top), walk);
  else {
    if (options.to !== '') walk.found.push(folderEntry(options.to, statOf(top)));
    const rules = options.ignore === null ? null : openRules(top, options.ignore, (text) => walk.warnings.push(text));
    walkFolder(top, '', rules, walk);
  }
  if (walk.leavingLinks.length > 0) walk.warnings.push(leavingLinksWarning(walk.leavingLinks));
  return walk;
}

function resolveSource({ from, to, ignore }: ScanOptions): string {
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

function walkFolder(absolute: string, inside: string, rules: FolderRules | null, walk: Walk): void {
  for (const name of namesIn(absolute, inside, walk)) {
    const child = join(absolute, name);
    if (name === '.git' || name.startsWith(temporaryPrefix) || walk.never.has(child)) continue;
    const stats = lstatSync(child, { bigint: true, throwIfNoEntry: false });
    if (stats === undefined) continue; // deleted since it was listed
    if (rules !== null && verdict(rules, name, stats.isDirectory()) === 'leave') continue;
    const path = inside === '' ? name : `${inside}/${name}`;
    if (take(child, path, stats, walk)) walkInto(child, path, rules, walk);
  }
}

function walkInto(absolute: string, path: string, rules: FolderRules | null, walk: Walk): void {
  let inside: FolderRules | null;
  try {
    inside = rules === null ? null : rulesInside(rules, absolute, walk);
  } catch (error) {
    if (!isRefused(error)) throw error;
    walk.unreadable.push(path);
    return;
  }
  walkFolder(absolute, path, inside, walk);
}

/** True for a folder to walk into. */
function take(absolute: string, path: string, stats: BigIntStats, walk: Walk): boolean {
  const entryPath = walk.options.to === '' ? path : `${walk.options.to}/${path}`;
  const problem = pathProblem(entryPath);
  if (problem !== null) walk.warnings.push(`${path} was skipped: ${problem}`);
  else if (stats.isDirectory()) walk.found.push(folderEntry(entryPath, stats));
  else if (stats.isSymbolicLink()) takeLink(absolute, path, entryPath, walk);
  else if (stats.isFile()) takeFile(absolute, entryPath, stats, walk);
  else walk.warnings.push(`${path} was skipped: it is neither a file, a folder nor a link`);
  return problem === null && stats.isDirectory();
}

function rulesInside(rules: FolderRules, absolute: string, walk: Walk): FolderRules {
  const isRepository = lstatSync(join(absolute, '.git'), { throwIfNoEntry: false }) !== undefined;
  return enterFolder(rules, basename(absolute), absolute, isRepository, walk.options.ignore?.globalExcludes ?? null, (text) => walk.warnings.push(text));
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

function takeFile(absolute: string, path: string, stats: BigIntStats, walk: Walk): void {
  walk.found.push({ kind: 'file', path, mode: modeOf(stats), mtime: mtimeOf(stats), size: Number(stats.size), absolute, stamp: stampOf(stats) });
}

function takeLink(absolute: string, path: string, entryPath: string, walk: Walk): void {
  const bytes = readlinkSync(absolute, 'buffer');
  const target = bytes.toString('utf8');
  if (!Buffer.from(target, 'utf8').equals(bytes) || targetProblem(target) !== null) {
    walk.warnings.push(`${path} was skipped: its target isn't UTF-8, or too long`);
    return;
  }
  if (leadsOut(path, target)) walk.leavingLinks.push(`${path} -> ${target}`);
  walk.found.push({ kind: 'link', path: entryPath, target });
}

/** By its text alone; what lies behind it doesn't matter. */
function leadsOut(path: string, target: string): boolean {
  return posix.isAbsolute(target) || posix.join(posix.dirname(path), target).split('/')[0] === '..';
}

function leavingLinksWarning(links: readonly string[]): string {
  const many = links.length === 1 ? '1 link leads' : `${links.length} links lead`;
  return `${many} out of the synced folder and may lead nowhere on the machine: ${links.slice(0, 3).join(', ')}${links.length > 3 ? ', ...' : ''}`;
}

function folderEntry(path: string, stats: BigIntStats): DirEntry {
  return { kind: 'dir', path, mode: modeOf(stats), mtime: mtimeOf(stats) };
}

function statOf(absolute: string): BigIntStats {
  return lstatSync(absolute, { bigint: true });
}

function modeOf(stats: BigIntStats): number {
  return Number(stats.mode & 0o777n);
}

function mtimeOf(stats: BigIntStats): number {
  return toMtime(stats.mtimeNs);
}

/** `ino:size:mtime:ctime`, times in nanoseconds. */
export function stampOf(stats: BigIntStats): string {
  return `${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`;
}
