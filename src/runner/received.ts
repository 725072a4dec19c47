/** What was received of a log, as far as it has to be proved after a reconnect: the CRC-32 of its end, in parts. */
import { crc32 } from 'node:zlib';
import type { LogProof } from '../protocol/log.ts';

/** Together at least 1 MiB of the end, when so much came. */
const partBytes = 256 * 1024;
const keptParts = 5;

export interface Received {
  /** A block that follows the one before it. Its own CRC is used where it can be: nothing large is counted twice. */
  add(offset: number, bytes: Uint8Array, crc: number): void;
  /** What comes now has nothing to do with what came before: bytes were left out. */
  restart(): void;
  readonly proofs: readonly LogProof[];
}

/** `before`: what is known of what was received before. */
export function createReceived(before: readonly LogProof[] = []): Received {
  let parts: readonly LogProof[] = before;
  return {
    add(offset, bytes, crc) {
      if (bytes.length === 0) return;
      const to = offset + bytes.length;
      const last = parts.at(-1);
      if (last !== undefined && last.to - last.from < partBytes && bytes.length < partBytes)
        parts = [...parts.slice(0, -1), { from: last.from, to, crc: crc32(bytes, last.crc) }];
      else parts = [...parts, { from: offset, to, crc }].slice(-keptParts);
    },
    restart() {
      parts = [];
    },
    get proofs() {
      return parts;
    },
  };
}
