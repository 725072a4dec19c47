/**
 * What was fetched to one place in the workdir, and how each file looked when its content was last known. A lost or damaged record
 * costs fetching again and deletes nothing. May import protocol and `node:`.
 */
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isCount, isFields, isListOf, isNullOr, isText } from '../src/protocol/shape.ts';
import { pathProblem } from '../src/protocol/sync.ts';
import { readChecked, writeDurably } from './durable.ts';
import { errorCode, hashWhole } from './sync-disk.ts';

export interface Fetched {
  readonly sha256: string;
  readonly size: number;
  /** What it was fetched from, hashed: addresses may hold keys. */
  readonly key: string;
  /** The server's name for the state of its content; null: it has none. */
  readonly validator: string | null;
  /** Inode, size, times and mode, when its content was last known. Its modification time was long past then: every later change shows. */
  readonly look: string;
}

export interface FetchRecord {
  /** By workdir-relative path. */
  readonly files: Map<string, Fetched>;
  /** Folders that were made for them. */
  readonly folders: Set<string>;
}

/** The folder of one source: its record, its lock and its parts. */
export function fetchFolder(root: string, to: string): string {
  return join(root, 'sync', 'fetch', createHash('sha256').update(to).digest('hex').slice(0, 16));
}

export function keyOf(from: string): string {
  return createHash('sha256').update(from).digest('hex').slice(0, 32);
}

const version = 1;

interface Saved {
  readonly version: number;
  readonly files: readonly (readonly [string, Fetched])[];
  readonly folders: readonly string[];
}

export function loadRecord(folder: string): FetchRecord {
  const saved = readChecked<Saved>(join(folder, 'record.json'), isSaved);
  return saved === null || saved === 'damaged' ? { files: new Map(), folders: new Set() } : { files: new Map(saved.files), folders: new Set(saved.folders) };
}

export function saveRecord(folder: string, { files, folders }: FetchRecord): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, 'record.json');
  writeDurably(file, JSON.stringify({ version, files: [...files], folders: [...folders] } satisfies Saved));
}

function isSaved(value: unknown): boolean {
  if (!isFields(value) || value['version'] !== version || !isListOf(isPath, value['folders'])) return false;
  return isListOf((item) => Array.isArray(item) && item.length === 2 && isPath(item[0]) && isFetched(item[1]), value['files']);
}

function isPath(value: unknown): boolean {
  return isText(value) && pathProblem(value) === null;
}

function isFetched(value: unknown): boolean {
  return (
    isFields(value) &&
    isText(value['sha256']) &&
    isText(value['key']) &&
    isNullOr(isText, value['validator']) &&
    isText(value['look']) &&
    isCount(value['size'])
  );
}

/** null: there is no regular file. */
export function lookOf(absolute: string): string | null {
  try {
    const stats = lstatSync(absolute, { bigint: true });
    const { ino, size, mtimeNs, ctimeNs, mode } = stats;
    return stats.isFile() ? `${ino}:${size}:${mtimeNs}:${ctimeNs}:${mode & 0o777n}` : null;
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return null;
    throw error;
  }
}

/** Whether what lies there is what was fetched, as nobody has changed it since. Read only where its look leaves that open. */
export async function isUntouched(absolute: string, fetched: Fetched, signal: AbortSignal): Promise<boolean> {
  const look = lookOf(absolute);
  if (look === null) return false;
  if (fetched.look === look) return true;
  if (Number(look.split(':')[1]) !== fetched.size) return false;
  return (await hashWhole(absolute, signal))?.sha256 === fetched.sha256;
}

/** What all fetches have put into the workdir, by path: untouched it is no output of a job. */
export function readFetched(root: string): ReadonlyMap<string, Fetched> {
  const top = join(root, 'sync', 'fetch');
  if (statSync(top, { throwIfNoEntry: false })?.isDirectory() !== true) return new Map();
  return new Map(readdirSync(top).flatMap((name) => [...loadRecord(join(top, name)).files]));
}
