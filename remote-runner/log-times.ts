/**
 * When which bytes of a job's log came: marks in a file beside it. Written by whoever watches the job, at its looks; what came while
 * nobody looked carries the time of the first look after. Costs one `stat` a look, and nothing is written while nothing is printed.
 * Marks are not synced: after a power cut the last ones may be missing, and their bytes count as come with what follows.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { createMarker, formatMark, parseMarks, type TimeMark } from '../src/protocol/log.ts';
import { isDiskFull } from './ballast.ts';
import { isMissing, openIfThere } from './durable.ts';
import { fileSize } from './job-files.ts';
import type { LogFiles } from './machine-folder.ts';

export interface LogTimes {
  look(): void;
  /** Nothing more comes: what was held back is written. */
  flush(): void;
  close(): void;
}

/** A mark is some 20 bytes long. */
const bytesOfMark = 20;
const tailBytes = 4096;

export function openLogTimes(files: LogFiles, now: () => number = Date.now): LogTimes {
  let fd: number | null = null;
  const write = (mark: TimeMark) => {
    try {
      fd ??= openSync(files.times, 'a', 0o600);
      writeWhole(fd, formatMark(mark));
    } catch (error) {
      if (!isDiskFull(error)) throw error; // the next mark stands for its bytes, too
    }
  };
  const { last, size } = mendTimes(files.times);
  const marker = createMarker({ last, count: Math.floor(size / bytesOfMark), write });
  return {
    look: () => marker.look(fileSize(files.bytes), now()),
    flush: () => marker.flush(),
    close() {
      marker.flush();
      if (fd !== null) closeSync(fd);
    },
  };
}

/** All or nothing: of the last bytes of a disk the system writes what fits. */
function writeWhole(fd: number, line: string): void {
  const written = writeSync(fd, line);
  if (written < line.length) ftruncateSync(fd, fstatSync(fd).size - written);
}

/** Cuts off what a crash left of a line, so that nothing is glued to it. */
function mendTimes(file: string): { readonly last: TimeMark | null; readonly size: number } {
  let fd: number;
  try {
    fd = openSync(file, 'r+');
  } catch (error) {
    if (isMissing(error)) return { last: null, size: 0 };
    throw error;
  }
  try {
    const { size } = fstatSync(fd);
    const from = Math.max(0, size - tailBytes);
    const tail = Buffer.alloc(size - from);
    const text = tail.toString('latin1', 0, readSync(fd, tail, 0, tail.length, from));
    const { marks, rest } = parseMarks(text.slice(from === 0 ? 0 : text.indexOf('\n') + 1), null);
    if (rest !== '') ftruncateSync(fd, size - rest.length);
    return { last: marks.at(-1) ?? null, size };
  } finally {
    closeSync(fd);
  }
}

export interface MarkReader {
  /** The next marks behind those that were read, a few thousand at once; none: there are none now. */
  read(): readonly TimeMark[];
  close(): void;
}

const pieceBytes = 64 * 1024;

export function readMarks(file: string): MarkReader {
  const piece = Buffer.alloc(pieceBytes);
  let fd: number | null = null;
  let at = 0;
  let last: TimeMark | null = null;
  return {
    read() {
      fd ??= openIfThere(file);
      const length = fd === null ? 0 : readSync(fd, piece, 0, pieceBytes, at);
      const { marks, rest } = parseMarks(piece.toString('latin1', 0, length), last);
      at += length - rest.length;
      last = marks.at(-1) ?? last;
      return marks;
    },
    close() {
      if (fd !== null) closeSync(fd);
    },
  };
}

/** All marks, in order. */
export function* allMarks(file: string): Generator<TimeMark> {
  const reader = readMarks(file);
  try {
    for (let marks = reader.read(); marks.length > 0; marks = reader.read()) yield* marks;
  } finally {
    reader.close();
  }
}
