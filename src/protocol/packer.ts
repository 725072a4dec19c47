/**
 * Packs and unpacks blocks with what a Node's zlib has: zstd from 22.15 on, else brotli. Imports its own folder only; zlib is given by the
 * caller.
 */
import { type Codec, codecs, type Packer, type Unpack } from './packed.ts';

interface Options {
  readonly chunkSize: number;
  readonly maxOutputLength?: number;
  readonly params?: Readonly<Record<number, number>>;
}

type Transform = (bytes: Uint8Array, options: Options) => Uint8Array;

/** As `node:zlib`. */
export interface Zlib {
  readonly constants: {
    readonly ZSTD_c_compressionLevel: number;
    readonly ZSTD_c_windowLog: number;
    readonly ZSTD_d_windowLogMax: number;
    readonly BROTLI_PARAM_QUALITY: number;
    readonly BROTLI_PARAM_LGWIN: number;
    readonly BROTLI_PARAM_SIZE_HINT: number;
  };
  readonly brotliCompressSync: Transform;
  readonly brotliDecompressSync: Transform;
  /** Not every Node has them. */
  readonly zstdCompressSync?: Transform;
  readonly zstdDecompressSync?: Transform;
}

/** Larger than any block: what lies farther back than a block is not there anyway. */
const windowLog = 18;
/** With a larger window nothing of ours was packed. */
const mostWindowLog = 20;
/** Without room to spare zlib asks for a second piece. */
const spareBytes = 64;

/** What can be unpacked here, the best first. */
export function unpackable({ zstdDecompressSync }: Zlib): readonly Codec[] {
  return codecs.filter((codec) => codec !== 'zstd' || zstdDecompressSync !== undefined);
}

/** Whatever comes, neither the output nor the memory for it is larger than a block. */
export function createUnpack({ brotliDecompressSync, zstdDecompressSync, constants }: Zlib): Unpack {
  return (codec, bytes, length) => {
    const limits = { chunkSize: length + spareBytes, maxOutputLength: Math.max(1, length) };
    if (codec === 'brotli') return brotliDecompressSync(bytes, limits);
    if (zstdDecompressSync === undefined) throw new Error('there is no zstd here');
    return zstdDecompressSync(bytes, { ...limits, params: { [constants.ZSTD_d_windowLogMax]: mostWindowLog } });
  };
}

/** The first of the `wanted` that there is, at the level that costs least for what it saves; null: none. */
export function createPacker({ constants, brotliCompressSync, zstdCompressSync }: Zlib, wanted: unknown): Packer | null {
  const isWanted = (codec: Codec) => Array.isArray(wanted) && wanted.includes(codec);
  if (isWanted('zstd') && zstdCompressSync !== undefined) {
    const params = { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_windowLog]: windowLog };
    return { codec: 'zstd', pack: (bytes) => zstdCompressSync(bytes, { chunkSize: roomFor(bytes), params }) };
  }
  if (!isWanted('brotli')) return null;
  const params = (bytes: Uint8Array) => ({
    [constants.BROTLI_PARAM_QUALITY]: 1,
    [constants.BROTLI_PARAM_LGWIN]: windowLog,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  });
  return { codec: 'brotli', pack: (bytes) => brotliCompressSync(bytes, { chunkSize: roomFor(bytes), params: params(bytes) }) };
}

/** For what comes out of it in one piece, mostly. */
function roomFor(bytes: Uint8Array): number {
  return Math.max(1024, bytes.length >> 2);
}
