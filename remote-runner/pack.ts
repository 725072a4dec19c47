/** Packs blocks of a log for a follower who has asked for it: by zstd where this Node has it (from 22.15 on), else by brotli. */
import zlib from 'node:zlib';
import { type Codec, codecs } from '../src/protocol/packed.ts';

export type Pack = (bytes: Uint8Array) => Uint8Array;

/** Larger than any block: what lies farther back than a block is not there anyway. */
const windowLog = 18;

/** The first of the `wanted` that this Node has, at the level that costs least for what it saves; null: none. */
export function packer(wanted: unknown): { readonly codec: Codec; readonly pack: Pack } | null {
  const codec = Array.isArray(wanted) ? codecs.find((each) => wanted.includes(each) && packers[each] !== undefined) : undefined;
  const pack = codec === undefined ? undefined : packers[codec];
  return codec === undefined || pack === undefined ? null : { codec, pack };
}

const { constants } = zlib;

const packers: Readonly<Record<Codec, Pack | undefined>> = {
  zstd:
    zlib.zstdCompressSync === undefined
      ? undefined
      : (bytes) =>
          zlib.zstdCompressSync(bytes, {
            chunkSize: roomFor(bytes),
            params: { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_windowLog]: windowLog },
          }),
  brotli: (bytes) =>
    zlib.brotliCompressSync(bytes, {
      chunkSize: roomFor(bytes),
      params: { [constants.BROTLI_PARAM_QUALITY]: 1, [constants.BROTLI_PARAM_LGWIN]: windowLog, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
    }),
};

/** For what comes out of it in one piece, mostly. */
function roomFor(bytes: Uint8Array): number {
  return Math.max(1024, bytes.length >> 2);
}
