/** SHA-256 on this computer, for the protocol. May import protocol and `node:`. */
import { createHash, hash } from 'node:crypto';
import type { Hashing } from '../protocol/content-id.ts';

export const hashing: Hashing = {
  raw: (bytes) => hash('sha256', bytes, 'buffer'),
  hex: (bytes) => hash('sha256', bytes, 'hex'),
  start: () => {
    const running = createHash('sha256');
    return { update: (bytes) => void running.update(bytes), hex: () => running.digest('hex') };
  },
};
