/** Checks what the other side sent before anybody acts on it. Imports its own folder only. */
import { FrameError } from './frame.ts';
import {
  type DirEntry,
  type Entry,
  type FileEntry,
  type FolderChange,
  type LinkEntry,
  type Offer,
  type PullItem,
  type PushParams,
  parentOf,
  pathProblem,
  targetProblem,
  type Want,
} from './sync.ts';

type Fields = Readonly<Record<string, unknown>>;

/** @throws FrameError as all of these do: the peer broke the protocol. */
export function parseFields(value: unknown): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new FrameError('a sync message is not an object');
  return value as Fields;
}

export function parseList<T>(value: unknown, parse: (item: unknown) => T): T[] {
  if (!Array.isArray(value)) throw new FrameError('a sync message lacks its list');
  return value.map((item) => parse(item));
}

export function parseText(value: unknown): string {
  if (typeof value !== 'string') throw new FrameError('a sync message lacks a text');
  return value;
}

/** A whole number from 0 to `most`. */
export function parseNumber(value: unknown, most: number = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > most)
    throw new FrameError(`a sync message holds ${String(value)} where a number up to ${most} belongs`);
  return value;
}

export function parsePath(value: unknown): string {
  const path = parseText(value);
  const problem = pathProblem(path);
  if (problem !== null) throw new FrameError(`the path ${JSON.stringify(path.slice(0, 300))} can't be accepted: ${problem}`);
  return path;
}

export function parseSha256(value: unknown): string {
  const text = parseText(value);
  if (!/^[0-9a-f]{64}$/.test(text)) throw new FrameError('a sync message holds no SHA-256 where one belongs');
  return text;
}

export function parsePushParams(value: unknown): PushParams {
  const { source, digest, base, others, outputs, live } = parseFields(value);
  const name = parseText(source);
  if (!/^[a-z0-9-]{1,80}$/.test(name)) throw new FrameError('a push has an impossible source name');
  return {
    source: name,
    digest: parseSha256(digest),
    base: base === null ? null : parseSha256(base),
    others: parseList(others, parsePath),
    outputs: parseList(outputs, parseFolder),
    live: live === true,
  };
}

/** Like a path, or empty: the workdir itself. */
export function parseFolder(value: unknown): string {
  return value === '' ? '' : parsePath(value);
}

export function parseEntry(value: unknown): Entry {
  const fields = parseFields(value);
  return fields['kind'] === 'file' ? { ...parseFileFacts(fields), sha256: parseSha256(fields['sha256']) } : parseOther(fields);
}

export function parseFolderChange(value: unknown): FolderChange {
  const fields = parseFields(value);
  const path = parseFolder(fields['path']);
  const gone = parseList(fields['gone'], parsePath);
  const set = parseList(fields['set'], parseEntry);
  if (set.some((entry) => parentOf(entry.path) !== path) || gone.some((name) => name.includes('/')))
    throw new FrameError(`the changes of the folder ${JSON.stringify(path)} lie elsewhere`);
  return { path, whole: fields['whole'] === true, set, gone };
}

export function parsePullItem(value: unknown): PullItem {
  const fields = parseFields(value);
  return fields['kind'] === 'file' ? parseFileFacts(fields) : parseOther(fields);
}

export function parseOffer(value: unknown): Offer {
  const { index, base, part } = parseFields(value);
  return { index: parseNumber(index), base: base === null ? null : parseSha256(base), part: part === null ? null : parsePart(parseFields(part)) };
}

function parsePart({ size, id }: Fields): NonNullable<Offer['part']> {
  return { size: parseNumber(size), id: parseSha256(id) };
}

export function parseWant(value: unknown): Want {
  const { index, have } = parseFields(value);
  return { index: parseNumber(index), have: have === null ? null : parseSha256(have) };
}

function parseFileFacts(fields: Fields): Omit<FileEntry, 'sha256'> {
  return {
    kind: 'file',
    path: parsePath(fields['path']),
    mode: parseMode(fields['mode']),
    mtime: parseNumber(fields['mtime']),
    size: parseNumber(fields['size']),
  };
}

function parseOther(fields: Fields): DirEntry | LinkEntry {
  const path = parsePath(fields['path']);
  if (fields['kind'] === 'dir') return { kind: 'dir', path, mode: parseMode(fields['mode']), mtime: parseNumber(fields['mtime']) };
  const target = parseText(fields['target']);
  const problem = fields['kind'] === 'link' ? targetProblem(target) : 'it is of an unknown kind';
  if (problem !== null) throw new FrameError(`the entry ${JSON.stringify(path)} can't be accepted: ${problem}`);
  return { kind: 'link', path, target };
}

function parseMode(value: unknown): number {
  return parseNumber(value, 0o777);
}

/**
 * Adds entries to what was received before, refusing what could make one entry reach through another:
 * a path twice, a parent that is no folder, a parent after its child.
 */
export class TreeCheck {
  readonly #kinds = new Map<string, Entry['kind']>();
  readonly #implied = new Set<string>();

  add(entry: Pick<Entry, 'path' | 'kind'>): void {
    const { path, kind } = entry;
    if (this.#kinds.has(path) || this.#implied.has(path)) throw new FrameError(`the path ${JSON.stringify(path)} comes twice, or after what lies below it`);
    this.#kinds.set(path, kind);
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
      const parent = path.slice(0, at);
      const known = this.#kinds.get(parent);
      if (known === 'dir') return;
      if (known !== undefined) throw new FrameError(`the path ${JSON.stringify(path)} lies below something that is no folder`);
      this.#implied.add(parent);
    }
  }
}
