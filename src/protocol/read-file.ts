/**
 * Reads files that may be written to meanwhile: what is read belongs to one state of a file, or is said to be torn. Imports nothing of
 * ours but its own folder; the calls to the disk are given by the caller.
 */
import type { ContentSource, SmallRead } from './send-records.ts';

interface FileStats {
  isFile(): boolean;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

/** As in Node's `fs`. */
export interface DiskCalls {
  readonly constants: { readonly O_RDONLY: number; readonly O_NOFOLLOW?: number; readonly O_NONBLOCK?: number };
  openSync(path: string, flags: number): number;
  fstatSync(fd: number, options: { bigint: true }): FileStats;
  readSync(fd: number, into: Uint8Array, offset: number, length: number, position: number): number;
  closeSync(fd: number): void;
}

export interface FileReading {
  /** All of a small file, into the front of `into`. `stamp`: as it was seen before; null: it was not. `long`: it does not fit. null: it isn't there any more. */
  readSmall(path: string, stamp: string | null, into: Uint8Array): SmallRead | 'long' | null;
  /** null: it isn't there any more, or something else is. */
  open(path: string): ContentSource | null;
}

const attempts = 3;

/** @param gone the system's error codes for what isn't there any more; others are thrown */
export function createFileReading(disk: DiskCalls, gone: readonly string[]): FileReading {
  const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = disk.constants;
  const openOrNot = (path: string): number | null => {
    try {
      return disk.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    } catch (error) {
      if (gone.includes(codeOf(error))) return null;
      throw error;
    }
  };
  const statsOf = (fd: number) => disk.fstatSync(fd, { bigint: true });
  const readOpen = (fd: number, stamp: string | null, into: Uint8Array): SmallRead | 'long' | null => {
    let before = stamp;
    for (let attempt = 1; ; attempt += 1) {
      if (before === null) {
        const stats = statsOf(fd);
        if (!stats.isFile()) return null;
        before = stampOf(stats);
      }
      const size = readAll(disk, fd, into);
      if (size === into.length) return 'long';
      const stats = statsOf(fd);
      if (!stats.isFile()) return null;
      const after = stampOf(stats);
      if (after === before || attempt > attempts) return { size, stamp: after, torn: after !== before };
      before = after;
    }
  };
  return {
    readSmall: (path, stamp, into) => {
      const fd = openOrNot(path);
      if (fd === null) return null;
      try {
        return readOpen(fd, stamp, into);
      } catch (error) {
        if (codeOf(error) === 'EISDIR') return null;
        throw error;
      } finally {
        disk.closeSync(fd);
      }
    },
    open: (path) => {
      const fd = openOrNot(path);
      if (fd === null) return null;
      const stats = statsOf(fd);
      if (!stats.isFile()) {
        disk.closeSync(fd);
        return null;
      }
      const size = Number(stats.size);
      let at = 0;
      return {
        size,
        stamp: () => stampOf(statsOf(fd)),
        read: (into) => {
          const read = disk.readSync(fd, into, 0, Math.max(0, Math.min(into.length, size - at)), at);
          at += read;
          return read;
        },
        skip: (bytes) => {
          at += bytes;
        },
        close: () => disk.closeSync(fd),
      };
    },
  };
}

/** `ino:size:mtime:ctime`, times in nanoseconds: changes whenever the content may have changed; only compared where it was made. */
function stampOf({ ino, size, mtimeNs, ctimeNs }: FileStats): string {
  return `${ino}:${size}:${mtimeNs}:${ctimeNs}`;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** As much as there is, or fits. */
function readAll(disk: DiskCalls, fd: number, into: Uint8Array): number {
  let size = 0;
  for (;;) {
    const read = disk.readSync(fd, into, size, into.length - size, size);
    size += read;
    // Less than there was room for is the end of a file, nearly always; the other times, its stamp tells.
    if (read === 0 || size >= into.length - 1) return size;
  }
}
