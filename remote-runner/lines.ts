/** Reads a growing text file line by line, by offset and in bounded pieces. `\r` ends a line as `\n` does: progress bars. */
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { createIndexList } from './index-list.ts';

/** Lines of one portion, until the next one is read. Text is made of those only that somebody asks for: most tell nothing. */
export interface Lines {
  readonly count: number;
  /** Where each line lies, without its end: from `start` to before `stop`. */
  readonly bytes: Buffer;
  start(index: number): number;
  stop(index: number): number;
  /** Offset in the file behind the line and its end. */
  end(index: number): number;
  text(index: number): string;
}

export interface LineSource {
  /**
   * The next whole lines, at most 1 MiB of them; null when there are none now. `final`: what is left without a line end
   * is a line too, for nothing more will come. Empty lines and lines longer than 64 KiB are left out.
   */
  read(final: boolean): Lines | null;
  /** Offset behind what was read. */
  readonly at: number;
  /** The last portion was a full one: there is more, most likely. */
  readonly isBehind: boolean;
  close(): void;
}

const pieceBytes = 1024 * 1024;
const longestLine = 64 * 1024;
const newline = 0x0a;
const carriageReturn = 0x0d;

/**
 * The file may appear later; one that was begun anew is read from its start.
 * What can't be read, or is no file (a folder, a pipe), has no lines: it is the job's, and must not hold up who watches the job.
 */
export function openLines(file: string, from: number): LineSource {
  const piece = Buffer.alloc(pieceBytes);
  let fd: number | null = null;
  let at = from;
  let insideLongLine = false;
  let isBehind = false;
  const starts = createIndexList();
  const stops = createIndexList();

  const cut = (length: number, final: boolean): Lines => {
    const from = at;
    let start = 0;
    starts.clear();
    stops.clear();
    const take = (end: number, behind: number) => {
      if (!insideLongLine && end > start && end - start <= longestLine) {
        starts.push(start);
        stops.push(end);
      }
      insideLongLine = false;
      start = behind;
    };
    const next = (byte: number, behind: number): number => {
      const found = piece.indexOf(byte, behind);
      return found < 0 || found >= length ? length : found;
    };
    for (let line = next(newline, 0), redraw = next(carriageReturn, 0); line < length || redraw < length; ) {
      const end = Math.min(line, redraw);
      take(end, end + 1);
      if (line === end) line = next(newline, start);
      else redraw = next(carriageReturn, start);
    }
    if (final && start < length) take(length, length);
    if (length - start > longestLine) {
      insideLongLine = true;
      start = length;
    }
    at += start;
    return {
      count: starts.length,
      bytes: piece,
      start: starts.at,
      stop: stops.at,
      end: (index) => from + Math.min(stops.at(index) + 1, length),
      text: (index) => piece.toString('utf8', starts.at(index), stops.at(index)),
    };
  };

  const close = () => {
    if (fd !== null) closeSync(fd);
    fd = null;
  };
  const fill = (): number => {
    try {
      fd ??= openFile(file);
      if (fd === null) return 0;
      const length = readSync(fd, piece, 0, pieceBytes, at);
      if (length > 0 || !isBegunAnew(file, fd, at)) return length;
      close();
      at = 0;
      insideLongLine = false;
      fd = openFile(file);
      return fd === null ? 0 : readSync(fd, piece, 0, pieceBytes, at);
    } catch {
      close();
      return 0;
    }
  };

  return {
    read(final) {
      const length = fill();
      isBehind = length === pieceBytes;
      const before = at;
      const lines = cut(length, final && length < pieceBytes);
      return at === before ? null : lines;
    },
    get at() {
      return at;
    },
    get isBehind() {
      return isBehind;
    },
    close,
  };
}

/** null: there is none, or what is there is no file. Without waiting for whoever would write into a pipe. */
function openFile(file: string): number | null {
  const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  return null;
}

/** Shorter than what was read of it, or another file of the same name. */
function isBegunAnew(file: string, fd: number, at: number): boolean {
  const own = fstatSync(fd);
  if (own.size < at) return true;
  const named = statSync(file, { throwIfNoEntry: false });
  return named?.isFile() === true && (named.ino !== own.ino || named.dev !== own.dev);
}
