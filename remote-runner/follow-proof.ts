/** Whether a follower who comes back has received what is in the log: a power cut may have taken bytes that were already sent. */
import { closeSync, fstatSync, readSync } from 'node:fs';
import type { LogProof } from '../src/protocol/log.ts';
import { crc32 } from './checksum.ts';
import { openIfThere } from './durable.ts';
import { readGap } from './log-gap.ts';
import type { LogFiles } from './machine-folder.ts';
import { RunnerError } from './runner-error.ts';

const longestProof = 1024 * 1024;
const mostProofs = 64;

/** Where the first part begins that is not as the follower received it; null: all are. What had to be given up since (`gap`) is not looked at. */
export function differsFrom(files: LogFiles, proofs: readonly LogProof[]): number | null {
  if (proofs.length === 0) return null;
  if (proofs.length > mostProofs || proofs.some(({ from, to }) => !(from >= 0 && to > from && to - from <= longestProof)))
    throw new RunnerError('bad-input', 'What was received of the log is told in parts that make no sense.');
  const gap = readGap(files);
  const piece = Buffer.alloc(Math.max(...proofs.map(({ from, to }) => to - from)));
  const fd = openIfThere(files.bytes);
  if (fd === null) return 0;
  try {
    const other = proofs.find(({ from, to, crc }) => {
      if (gap !== null && from < gap.to && to > gap.from) return false;
      const length = readSync(fd, piece, 0, to - from, from);
      return length < to - from || crc32(piece.subarray(0, length)) !== crc;
    });
    return other === undefined ? null : Math.min(other.from, fstatSync(fd).size);
  } finally {
    closeSync(fd);
  }
}
