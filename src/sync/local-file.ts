/** Reading this computer's files: hashes that belong to one state of a file, and content to send. May import core, protocol and `node:`. */
import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { systemErrorCode } from '../core/errors.ts';
import { blockBytes } from '../protocol/frame.ts';
import type { ContentSource } from '../protocol/sync-content.ts';
import { stampOf } from './scan.ts';

/** null: it isn't there any more, or something else is. @throws the system's error when it can't be read */
export function openLocalFile(absolute: string): ContentSource | null {
  let fd: number;
  try {
    fd = openSync(absolute, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(systemErrorCode(error) ?? '')) return null;
    throw error;
  }
  const stats = fstatSync(fd);
  if (!stats.isFile()) {
    closeSync(fd);
    return null;
  }
  const hash = createHash('sha256');
  let at = 0;
  return {
    stamp: () => stampOf(fstatSync(fd, { bigint: true })),
    read: () => {
      const buffer = Buffer.allocUnsafe(Math.min(blockBytes, stats.size - at));
      const read = buffer.length === 0 ? 0 : readSync(fd, buffer, 0, buffer.length, at);
      if (read === 0) return null;
      at += read;
      hash.update(buffer.subarray(0, read));
      return buffer.subarray(0, read);
    },
    sha256: () => hash.digest('hex'),
    close: () => closeSync(fd),
  };
}

export interface Identified {
  readonly sha256: string;
  readonly size: number;
  readonly stamp: string;
}

const attempts = 3;
const yieldEvery = 8 * 1024 * 1024;

/** Reads until the file stood still for one reading; of one that never does, the last reading. null: it isn't there any more. */
export async function identify(absolute: string, signal: AbortSignal): Promise<Identified | null> {
  for (let attempt = 1; ; attempt += 1) {
    const source = openLocalFile(absolute);
    if (source === null) return null;
    try {
      const stamp = source.stamp();
      let size = 0;
      for (let bytes = source.read(); bytes !== null; bytes = source.read()) {
        size += bytes.length;
        if (size % yieldEvery !== 0) continue;
        await yieldToOthers();
        signal.throwIfAborted();
      }
      if (attempt === attempts || source.stamp() === stamp) return { sha256: source.sha256(), size, stamp };
    } finally {
      source.close();
    }
  }
}
