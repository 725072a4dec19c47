/** How this computer packs what it sends. May import protocol and `node:`. */
import zlib from 'node:zlib';
import type { Packing } from '../protocol/block-writer.ts';
import { createPackPace } from '../protocol/pack-pace.ts';
import { createPacker } from '../protocol/packer.ts';

/** Whoever answers so soon (milliseconds) is near: there it takes less time to send bytes than to pack them. */
const nearMs = 8;
/** Then the other way is tried, too. Earlier than with a log: this is work that somebody waits for. */
const trialAfterBytes = 24 * 1024 * 1024;

/** @param wanted what the other side says that it unpacks. @param answeredMs how soon it said so. null: nothing that we could pack */
export function packingFor(wanted: unknown, answeredMs: number): Packing | null {
  const packer = createPacker(zlib, wanted);
  return packer === null
    ? null
    : { packer, pace: createPackPace(undefined, { packs: answeredMs > nearMs, trialAfterBytes }), crc32: zlib.crc32, garbage: () => {} };
}
