/** SHA-256 on this machine, for the protocol. May import protocol and `node:`. */
import crypto, { createHash } from 'node:crypto';
import type { Hashing } from '../src/protocol/content-id.ts';

/** In one call from 20.12 on. */
const { hash } = crypto as { hash?: typeof crypto.hash };

export const hashing: Hashing = {
  raw: hash === undefined ? (bytes) => createHash('sha256').update(bytes).digest() : (bytes) => hash('sha256', bytes, 'buffer'),
  hex: hash === undefined ? (bytes) => createHash('sha256').update(bytes).digest('hex') : (bytes) => hash('sha256', bytes, 'hex'),
  start: () => {
    const running = createHash('sha256');
    return { update: (bytes) => void running.update(bytes), hex: () => running.digest('hex') };
  },
};
