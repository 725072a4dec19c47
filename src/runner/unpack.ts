/** Unpacks what the runner has packed. A machine may say anything: neither the output nor the memory for it is larger than a block. */
import { brotliDecompressSync, constants, zstdDecompressSync } from 'node:zlib';
import type { Unpack } from '../protocol/packed.ts';

/** A block is 2 ** 18 bytes long at most; with a larger window nothing of ours was packed. */
const windowLog = 20;
/** Without room to spare zlib asks for a second piece. */
const spareBytes = 64;

export const unpack: Unpack = (codec, bytes, length) => {
  const limits = { chunkSize: length + spareBytes, maxOutputLength: Math.max(1, length) };
  if (codec === 'brotli') return brotliDecompressSync(bytes, limits);
  return zstdDecompressSync(bytes, { ...limits, params: { [constants.ZSTD_d_windowLogMax]: windowLog } });
};
