/**
 * Data that the machine fetches by itself: what the two ends say to each other. Imports its own folder only.
 *
 * `fetch` has all sources in its params. Sources that the laptop has had fetched there before and wants no longer are `gone`: what was
 * fetched for them and is untouched is removed. The machine says how far it is, and ends with `FetchResult`.
 */
import { FrameError } from './frame.ts';
import { isCount, isFields, isListOf, isNullOr, isText } from './shape.ts';
import { isWithin } from './sync.ts';
import { parseFields, parseFolder, parseList, parsePath, parseSha256, parseText } from './sync-parse.ts';

export interface FetchSource {
  /** `https://...`, `gs://BUCKET/OBJECT`, or `gs://BUCKET/PREFIX/` for all that lies below it. May hold secrets: shown by `shownUrl` alone. */
  readonly from: string;
  /** Workdir-relative place of the file, or of the folder. */
  readonly to: string;
  /** Of the file, 64 hex digits; null: what the server sends is taken. */
  readonly sha256: string | null;
}

export interface FetchParams {
  readonly sources: readonly FetchSource[];
  /** Places of earlier sources that are wanted no longer. */
  readonly gone: readonly string[];
  /** What the machine made or changed at or below these is neither replaced, moved nor deleted. */
  readonly outputs: readonly string[];
}

export interface FetchProgress {
  readonly type: 'progress';
  /** Bytes of content that are there. */
  readonly done: number;
  /** null: a server does not say how much it is. */
  readonly total: number | null;
}

export interface FetchResult {
  /** In all sources, whether they travelled or not. */
  readonly files: number;
  readonly bytes: number;
  readonly fetchedBytes: number;
  /** Sentences for people; the first ones of `warningCount`. */
  readonly warnings: readonly string[];
  readonly warningCount: number;
}

/** @throws FrameError also when sources would get into each other's way */
export function parseFetchParams(value: unknown): FetchParams {
  const fields = parseFields(value);
  const sources = parseList(fields['sources'], parseFetchSource);
  const gone = parseList(fields['gone'], parsePath);
  const places = [...sources.map(({ to }) => to), ...gone];
  for (const [index, place] of places.entries())
    if (places.some((other, at) => at !== index && isWithin(place, other))) throw new FrameError('two sources have one place');
  return { sources, gone, outputs: parseList(fields['outputs'], parseFolder) };
}

function parseFetchSource(value: unknown): FetchSource {
  const { from, to, sha256 } = parseFields(value);
  return { from: parseText(from), to: parsePath(to), sha256: sha256 === null ? null : parseSha256(sha256) };
}

export function parseFetchProgress(value: unknown): FetchProgress {
  if (!isFields(value) || value['type'] !== 'progress' || !isCount(value['done']) || !isNullOr(isCount, value['total']))
    throw new FrameError('the machine tells nonsense of what it fetches');
  return { type: 'progress', done: value['done'], total: value['total'] as number | null };
}

export function parseFetchResult(value: unknown): FetchResult {
  const { files, bytes, fetchedBytes, warnings, warningCount } = parseFields(value);
  if (!isCount(files) || !isCount(bytes) || !isCount(fetchedBytes) || !isCount(warningCount) || !isListOf(isText, warnings))
    throw new FrameError('the answer to fetch has the wrong shape');
  return { files, bytes, fetchedBytes, warnings: warnings as string[], warningCount };
}

/** Whether data comes from an address rather than from this computer's disk. Two letters at least: `C:/pets` is a path. */
export function isAddress(from: string): boolean {
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(from);
}

/** An address as it may be shown and kept: without user and password, and without its query, which holds keys where addresses are signed. */
export function shownUrl(address: string): string {
  return address
    .trim()
    .replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i, '$1')
    .replace(/[?#].*$/s, '?...');
}

/** Why an address can't be fetched from, in words; null: it can, as far as its text tells. Never names its secrets. */
export function addressProblem(from: string): string | null {
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(from)?.[1]?.toLowerCase();
  if (/\p{Cc}/u.test(from)) return 'it holds control characters';
  if (scheme === 'gs') return gsProblem(from.slice('gs://'.length));
  if (scheme !== 'https' && scheme !== 'http') return `data is fetched from https:// and gs:// addresses, not from ${scheme ?? 'this'}://`;
  if (from.includes(' ')) return 'it holds spaces; write them as %20';
  if (!URL.canParse(from)) return 'it is no valid address';
  const { hostname, pathname } = new URL(from);
  if (scheme === 'http' && !isLoopbackName(hostname)) return 'http:// is not protected against changes on the way; write https://';
  return pathname === '/' && !from.includes('?') ? 'it names a host and no file' : null;
}

function gsProblem(rest: string): string | null {
  const bucket = rest.split('/', 1)[0] ?? '';
  if (!/^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/.test(bucket)) return 'the bucket in it has an impossible name';
  return /[?#]/.test(bucket) ? 'it is no valid address' : null;
}

/** `localhost`, 127.0.0.0/8 and ::1. */
export function isLoopbackName(hostname: string): boolean {
  return hostname === 'localhost' || hostname.endsWith('.localhost') || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}
