/**
 * A file that is being fetched. Beside it stands what it is a part of, and how much of it has reached the disk, so that a later call
 * goes on behind that, whatever ended this one. May import protocol and `node:`.
 */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, constants, fdatasync, fstatSync, ftruncateSync, futimesSync, openSync, readSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { promisify } from 'node:util';
import { isCount, isFields, isNullOr, isText } from '../src/protocol/shape.ts';
import { createCrc32c } from './crc32c.ts';
import { readChecked, writeDurably } from './durable.ts';
import { writeAll } from './write-all.ts';

const flush = promisify(fdatasync);

/** At most so much is fetched again. */
const markEveryBytes = 64 * 1024 * 1024;
const readBytes = 1024 * 1024;

/** More than the coarsest clock of a file system: what is written to the file later shows in its modification time. */
const longPastSeconds = 10;

/** Names the state of content, as its server does; null: it doesn't. */
export interface ContentState {
  /** What `If-Range` takes. */
  readonly strong: string | null;
  /** What `If-None-Match` or `If-Modified-Since` takes. */
  readonly any: string | null;
}

export const noState: ContentState = { strong: null, any: null };

export interface Mark extends ContentState {
  readonly key: string;
  readonly bytes: number;
  /** It is whole: its SHA-256, and `INODE:BYTES:MTIME` to know it by in its place; null: it is not. */
  readonly whole: { readonly sha256: string; readonly look: string } | null;
}

export interface FetchPart {
  readonly path: string;
  /** So many bytes from the start are there. */
  readonly size: number;
  /** Of the content that they are of. */
  readonly state: ContentState;
  /** Forgets all that is there, and goes on with content in this state. */
  restart(state: ContentState): void;
  append(bytes: Uint8Array): Promise<void>;
  /** Of all that is there. */
  sums(): { readonly sha256: string; readonly crc32c: number };
  /** What is there may be gone on from, whatever comes; for a fetch that ends before its time. */
  keep(): Promise<void>;
  /** All of it is there. It leaves a mark, by which it is known in its place until `forgetMark`. */
  finish(): Promise<void>;
  close(): void;
  /** Gives up the room that it takes. */
  remove(): void;
}

/**
 * @param key what is fetched; a part of something else is thrown away
 * @param withCrc32c whether that sum will be asked for
 */
export async function openPart(path: string, key: string, withCrc32c: boolean, signal: AbortSignal): Promise<FetchPart> {
  const markFile = markFileOf(path);
  const mark = readMark(path);
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  let hash: Hash = createHash('sha256');
  let crc = withCrc32c ? createCrc32c() : null;
  let size = 0;
  let marked = 0;
  let state: ContentState = noState;
  const take = (bytes: Uint8Array) => {
    hash.update(bytes);
    crc?.update(bytes);
    size += bytes.length;
  };
  const writeMark = () => {
    writeDurably(markFile, JSON.stringify({ key, ...state, bytes: size, whole: null } satisfies Mark));
    marked = size;
  };
  const part: FetchPart = {
    path,
    get size() {
      return size;
    },
    get state() {
      return state;
    },
    restart: (from) => {
      rmSync(markFile, { force: true });
      ftruncateSync(fd);
      hash = createHash('sha256');
      crc = withCrc32c ? createCrc32c() : null;
      size = 0;
      marked = 0;
      state = from;
    },
    append: async (bytes) => {
      writeAll(fd, bytes, size);
      take(bytes);
      if (size - marked < markEveryBytes) return;
      await flush(fd);
      writeMark();
    },
    sums: () => ({ sha256: hash.copy().digest('hex'), crc32c: crc?.value ?? 0 }),
    keep: async () => {
      if (size === marked) return;
      await flush(fd);
      writeMark();
    },
    finish: async () => {
      if (size >= markEveryBytes) await flush(fd);
      const past = Date.now() / 1000 - longPastSeconds;
      futimesSync(fd, past, past);
      const { ino, mtimeNs } = fstatSync(fd, { bigint: true });
      const whole = { sha256: hash.copy().digest('hex'), look: `${ino}:${size}:${mtimeNs}` };
      writeFileSync(`${markFile}.new`, JSON.stringify({ key, ...state, bytes: size, whole } satisfies Mark), { mode: 0o600 });
      renameSync(`${markFile}.new`, markFile);
    },
    close: () => closeSync(fd),
    remove: () => {
      rmSync(markFile, { force: true });
      rmSync(path, { force: true });
    },
  };
  try {
    const there = mark !== null && mark.key === key ? Math.min(mark.bytes, fstatSync(fd).size) : 0;
    if (mark === null || there === 0) part.restart(noState);
    else {
      ftruncateSync(fd, there);
      const buffer = Buffer.allocUnsafe(readBytes);
      while (size < there) {
        const read = readSync(fd, buffer, 0, Math.min(readBytes, there - size), size);
        if (read === 0) throw new Error(`${path} became shorter while it was read`);
        take(buffer.subarray(0, read));
        await yieldToOthers();
        signal.throwIfAborted();
      }
      marked = size;
      state = { strong: mark.strong, any: mark.any };
    }
    return part;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function markFileOf(path: string): string {
  return `${path}.json`;
}

/** Of the part at `path`, which need not be there any more. */
export function readMark(path: string): Mark | null {
  const mark = readChecked<Mark>(markFileOf(path), isMark);
  return mark === 'damaged' ? null : mark;
}

/** What stands in the record is known from there. */
export function forgetMark(path: string): void {
  rmSync(markFileOf(path), { force: true });
}

function isMark(value: unknown): boolean {
  if (!isFields(value)) return false;
  const { key, strong, any, bytes, whole } = value;
  const isWhole = (it: unknown) => isFields(it) && isText(it['sha256']) && isText(it['look']);
  return isText(key) && isNullOr(isText, strong) && isNullOr(isText, any) && isCount(bytes) && isNullOr(isWhole, whole);
}
