/**
 * Push and pull: what the two ends say to each other. Imports its own folder only.
 *
 * `push` brings one source to the machine. The opening params carry the manifest's digest: when the machine still has
 * exactly that, the call ends after one round trip. When the laptop knows which manifest the machine had (`base`), it says right
 * behind the opening what differs:
 *   laptop   {type: 'changes', changes}*  {type: 'changes-end'}
 *   machine  {type: 'taken'}
 * when the machine still has exactly the base; it goes on with what it needs, and indices count the entries that the folders get. Else
 *   machine  {type: 'manifest'}                          laptop   {type: 'entries', entries}*  {type: 'entries-end'}
 *   machine  {type: 'need', indices}*  {type: 'offer', offers}*  {type: 'need-end'}
 *   laptop   the content of each needed file, in that order: see content-records.ts
 * and the call ends with `PushResult`. When something was moved aside the machine says so before it forgets it:
 *   machine  {type: 'result', result}                    laptop   {type: 'told'}
 *
 * `pull` brings outputs back:
 *   machine  {type: 'listing', items}*  {type: 'listing-end', problems...}
 *   laptop   {type: 'want', wants}*  {type: 'want-end'}
 *   machine  the content of each wanted file, in that order, or that it is the same
 *
 * All paths are relative to the workdir, with `/` between their parts. SHA-256 is written as 64 hex digits.
 */
import type { Codec } from './packed.ts';

export interface FileEntry {
  readonly kind: 'file';
  readonly path: string;
  /** Permission bits, 0 to 0o777. */
  readonly mode: number;
  /** Whole microseconds since the epoch. */
  readonly mtime: number;
  readonly size: number;
  readonly sha256: string;
}

export interface DirEntry {
  readonly kind: 'dir';
  readonly path: string;
  readonly mode: number;
  readonly mtime: number;
}

export interface LinkEntry {
  readonly kind: 'link';
  readonly path: string;
  /** As the link says it; never resolved. */
  readonly target: string;
}

export type Entry = FileEntry | DirEntry | LinkEntry;

export interface PushParams {
  /** Which source this is: `code`, or `data-...` by its target. A push deletes only what an earlier push of the same source placed. */
  readonly source: string;
  /** Of the whole manifest: see tree-digest.ts. */
  readonly digest: string;
  /** Digest of the manifest that changes start from, which follow. null: none follow. */
  readonly base: string | null;
  /** Targets of the other sources: this push places nothing there, and only removes what it placed there before. */
  readonly others: readonly string[];
  /** More pushes of this source follow over this connection: it is worth watching what was placed. */
  readonly live: boolean;
  /** What the machine made or changed at or below these is neither replaced, moved nor deleted. */
  readonly outputs: readonly string[];
}

/** How the entries of one folder differ from those in the base; a folder comes after the one that it is in. */
export interface FolderChange {
  readonly path: string;
  /** `set` is all that it holds. */
  readonly whole: boolean;
  /** Whole paths. */
  readonly set: readonly Entry[];
  /** Names, with all that was below them. */
  readonly gone: readonly string[];
}

/** What the machine has of a needed file, so that not all of it has to travel. */
export interface Offer {
  readonly index: number;
  /** An older version of it, as a content is called; null: none. */
  readonly base: string | null;
  /** Its beginning: so many bytes, and what their chunks are called; null: nothing. */
  readonly part: { readonly size: number; readonly id: string } | null;
}

export type PushAsk =
  | { readonly type: 'manifest' | 'taken' /** How blocks may be packed, the best first. */; readonly unpacks: readonly Codec[] }
  | { readonly type: 'need'; readonly indices: readonly number[] }
  | { readonly type: 'offer'; readonly offers: readonly Offer[] }
  | { readonly type: 'need-end' }
  | { readonly type: 'result'; readonly result: PushResult };

export type PushSay =
  | { readonly type: 'entries'; readonly entries: readonly Entry[] }
  | { readonly type: 'entries-end' }
  | { readonly type: 'changes'; readonly changes: readonly FolderChange[] }
  | { readonly type: 'changes-end' }
  | { readonly type: 'told' };

export interface PushResult {
  /** True: the machine had everything already, and nothing was compared but its own records. */
  readonly unchanged: boolean;
  /** What the machine had made or changed at our paths, and where it was moved to, absolute. The first ones of `keptCount`. */
  readonly kept: readonly { readonly path: string; readonly to: string }[];
  readonly keptCount: number;
  /** The folder that all of `kept` was moved to, absolute. */
  readonly keptIn: string;
  /** Such folders of earlier pushes that were cut before they could tell. */
  readonly keptBefore: readonly string[];
  /** Outputs of the machine that differ from the source and were left as they are. The first ones of `leftAloneCount`. */
  readonly leftAlone: readonly string[];
  readonly leftAloneCount: number;
}

export interface PullParams {
  readonly paths: readonly string[];
  /** Also what a push placed there and nobody changed. Absent: that is no output. */
  readonly pushedToo?: boolean;
  /** How blocks may be packed, the best first; absent: not at all. */
  readonly unpacks?: readonly Codec[];
}

/** With what the sources of checkpoints begin that are brought to the machine, one a folder. There, they are outputs like those that it makes itself. */
export const checkpointSource = 'checkpoints';

/** A file's content is identified only when somebody has to know: see `Want.have`. */
export type PullItem =
  | { readonly kind: 'file'; readonly path: string; readonly mode: number; readonly mtime: number; readonly size: number }
  | DirEntry
  | LinkEntry;

export interface ListingEnd {
  readonly type: 'listing-end';
  /** Asked for, but not there. */
  readonly missing: readonly string[];
  /** Sockets, names that aren't UTF-8: sentences for people. */
  readonly skipped: readonly string[];
  readonly unreadable: readonly string[];
}

export type PullSay = { readonly type: 'listing'; readonly items: readonly PullItem[] } | ListingEnd;

export interface Want {
  readonly index: number;
  /** SHA-256 of the laptop's file of the same size: when the machine's is equal, no content travels. */
  readonly have: string | null;
}

export type PullAsk = { readonly type: 'want'; readonly wants: readonly Want[] } | { readonly type: 'want-end' };

/** Whole microseconds, at most what is exact in JSON (the year 2255): a file from the future is a file all the same. */
export function toMtime(nanoseconds: bigint): number {
  return Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, Number(nanoseconds / 1000n)));
}

/** Names of files that are being written. Neither end sends, lists or keeps files of such names. */
export const temporaryPrefix = '.gpu-run-tmp-';

/** One message holds about so many characters of JSON: far below the longest frame. */
export const partChars = 256 * 1024;

/** Cuts a list so that no part's JSON gets long. An empty list has no parts. */
export function* inParts<T>(list: Iterable<T>): Generator<readonly T[]> {
  let part: T[] = [];
  let chars = 0;
  for (const item of list) {
    part.push(item);
    chars += JSON.stringify(item).length;
    if (chars < partChars) continue;
    yield part;
    part = [];
    chars = 0;
  }
  if (part.length > 0) yield part;
}

/** What an entry holds, apart from its name and times: equal ids, equal content. */
export function contentId(entry: Entry): string {
  if (entry.kind === 'file') return fileId(entry.size, entry.sha256);
  return entry.kind === 'link' ? `link:${entry.target}` : 'dir';
}

export function fileId(size: number, sha256: string): string {
  return `file:${size}:${sha256}`;
}

/** Folder times are left out: files that aren't synced change them all the time. */
export function manifestLine(entry: Entry): string {
  return `${JSON.stringify([entry.path, contentId(entry), entry.kind === 'link' ? 0 : entry.mode, entry.kind === 'file' ? entry.mtime : 0])}\n`;
}

/** Linux' limits: bytes in one name, and in one link's target. */
const longestName = 255;
const longestTarget = 4095;

/** Why a path can't be allowed, in words; null: it stays below its folder and can exist. */
export function pathProblem(path: string): string | null {
  if (path === '') return 'it is empty';
  if (path.includes('\0')) return 'it holds a NUL byte';
  for (const part of path.split('/')) {
    if (part === '' || part === '.' || part === '..') return 'it is not a plain relative path';
    if (utf8Length(part) > longestName) return `a name in it is longer than ${longestName} bytes`;
  }
  if (path !== path.toWellFormed()) return 'it is not valid Unicode';
  return null;
}

export function targetProblem(target: string): string | null {
  if (target === '' || target.includes('\0')) return 'it is no possible target';
  return utf8Length(target) > longestTarget ? `it is longer than ${longestTarget} bytes` : null;
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** True when `path` is `folder` or lies below it. The empty folder is the workdir itself: everything lies below it. */
export function isWithin(path: string, folder: string): boolean {
  return folder === '' || path === folder || path.startsWith(`${folder}/`);
}

/** Without repetitions, and without what lies in another of them anyway. */
export function outermost(paths: readonly string[]): string[] {
  return [...new Set(paths)].filter((path) => !paths.some((other) => other !== path && isWithin(path, other)));
}

/** The empty string for a path directly in the workdir. */
export function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}
