/** How this computer packs what it sends. May import protocol and `node:`. */
import zlib from 'node:zlib';
import type { Packing } from '../protocol/block-writer.ts';
import { createPackPace } from '../protocol/pack-pace.ts';
import { createPacker } from '../protocol/packer.ts';

/** @param wanted what the other side says that it unpacks. null: nothing that we could pack */
export function packingFor(wanted: unknown): Packing | null {
  const packer = createPacker(zlib, wanted);
  return packer === null ? null : { packer, pace: createPackPace(), crc32: zlib.crc32, garbage: () => {} };
}
