/**
 * A log that a program of its job has cut off: one that opens /dev/stderr or /dev/stdout for writing (`echo … > /dev/stderr`, `tee
 * /dev/stderr`) opens the log's file anew, and so truncates it. What was there is gone from the machine; but offsets must go on, or
 * followers stand still until the log is as long as it was, and then miss what came meanwhile.
 */
import { closeSync, ftruncateSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { isDiskFull } from './ballast.ts';
import { isMissing, readText, writeDurably } from './durable.ts';
import { fileSize } from './job-files.ts';
import { writeGap } from './log-gap.ts';
import type { LogFiles } from './machine-folder.ts';

export const cutText =
  'A program of the job has cut off the log, and what was in it is gone from the machine: to open /dev/stderr or /dev/stdout does that ' +
  'where they are files. Write `>&2` instead of `> /dev/stderr`, `>&1` instead of `> /dev/stdout`, and `tee -a` instead of `tee`.';

export interface CutWatch {
  /** One look; true when the log had been cut off. */
  look(): boolean;
}

/** By whoever watches the job, and nobody else: from now on. */
export function watchCut(files: LogFiles): CutWatch {
  rmSync(reachedFile(files), { force: true }); // of a runner before us
  let had = fileSize(files.bytes);
  return {
    look() {
      const size = fileSize(files.bytes);
      const reached = Math.max(had, takeReached(files));
      had = Math.max(size, reached);
      if (size >= reached) return false;
      goOnBehind(files, size, reached);
      return true;
    },
  };
}

/** By a follower who has read up to `at`, of a log that is shorter now: it may have seen more of it than whoever watches the job. */
export function noteReached(files: LogFiles, at: number): void {
  try {
    writeDurably(reachedFile(files), String(at));
  } catch (error) {
    if (!isDiskFull(error)) throw error; // it is noted at the next look
  }
}

function takeReached(files: LogFiles): number {
  const file = reachedFile(files);
  const text = fileSize(file) === 0 ? null : readText(file);
  if (text === null) return 0;
  rmSync(file, { force: true });
  return /^\d{1,15}$/.test(text) ? Number(text) : 0;
}

function reachedFile({ bytes }: LogFiles): string {
  return `${bytes}.reached`;
}

const pieceBytes = 64 * 1024;

/** Makes the log as long as it was, and puts what was printed since the cut behind that: where it stands now, followers have been already. */
function goOnBehind(files: LogFiles, size: number, reached: number): void {
  try {
    putBehind(files, size, reached);
  } catch (error) {
    if (!isDiskFull(error) && !isMissing(error)) throw error; // no room: at the next look, or gone as what came before it
  }
}

function putBehind(files: LogFiles, size: number, reached: number): void {
  const fd = openSync(files.bytes, 'r+');
  const end = openSync(files.bytes, 'a');
  try {
    writeGap(files, { from: 0, to: reached }); // first: zeros are never taken for what was printed
    ftruncateSync(fd, reached);
    const piece = Buffer.alloc(pieceBytes);
    for (let at = 0, last = false; at < reached && !last; ) {
      const length = readSync(fd, piece, 0, Math.min(pieceBytes, reached - at), at);
      last = length === 0 || at + length > size;
      // Between our look at its size and now the log may have grown a little.
      const text = last ? withoutZeros(piece.subarray(0, length), size - at) : piece.subarray(0, length);
      writeSync(end, text);
      at += length;
    }
  } finally {
    closeSync(end);
    closeSync(fd);
  }
}

/** Of the end, behind `from`. */
function withoutZeros(bytes: Uint8Array, from: number): Uint8Array {
  let end = bytes.length;
  while (end > Math.max(0, from) && bytes[end - 1] === 0) end -= 1;
  return bytes.subarray(0, end);
}
