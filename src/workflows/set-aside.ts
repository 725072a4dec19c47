/** Of a job's copy on this computer: what the machine's log does not hold any more. */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import type { LogProof } from '../protocol/log.ts';
import { writeWhole } from './copy-lines.ts';

const pieceBytes = 256 * 1024;

/**
 * Cuts the log off at `at`, and puts what was behind that into a file beside it. Only while the log still is as this follower has
 * received it (`received`, in order): another one who came back before has put it aside already, and what is here now is new.
 */
export function setAside(log: number, file: string, at: number, received: readonly LogProof[]): boolean {
  const first = received.find(({ to }) => to > at);
  if (first === undefined || !isAsReceived(log, first)) return false;
  copyTail(log, at, `${file}.lost-at-${at}`);
  if (!isAsReceived(log, first)) return false;
  ftruncateSync(log, at);
  return true;
}

function isAsReceived(log: number, { from, to, crc }: LogProof): boolean {
  let found = 0;
  const piece = new Uint8Array(pieceBytes);
  for (let at = from; at < to; ) {
    const length = readSync(log, piece, 0, Math.min(piece.length, to - at), at);
    if (length === 0) return false;
    found = crc32(piece.subarray(0, length), found);
    at += length;
  }
  return found === crc;
}

/** Into a file of its own: what was put aside before stays. */
function copyTail(log: number, from: number, file: string): void {
  const aside = openFresh(file);
  try {
    const piece = new Uint8Array(pieceBytes);
    for (let at = from; ; ) {
      const length = readSync(log, piece, 0, piece.length, at);
      if (length === 0) return;
      writeWhole(aside, piece.subarray(0, length), at - from);
      at += length;
    }
  } finally {
    closeSync(aside);
  }
}

function openFresh(file: string): number {
  for (let count = 1; ; count++) {
    try {
      return openSync(count === 1 ? file : `${file}.${count}`, 'wx', 0o600);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

/** Keeps the lines of a file up to the first that `isPast`. */
export function cutLines(fd: number, isPast: (line: string) => boolean): void {
  const { size } = fstatSync(fd);
  const piece = Buffer.alloc(pieceBytes);
  let text = '';
  for (let at = 0, start = 0; at < size; ) {
    const length = readSync(fd, piece, 0, piece.length, at);
    if (length === 0) return;
    at += length;
    text += piece.toString('latin1', 0, length);
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      if (isPast(text.slice(0, end))) {
        ftruncateSync(fd, start);
        return;
      }
      start += end + 1;
      text = text.slice(end + 1);
    }
  }
}
