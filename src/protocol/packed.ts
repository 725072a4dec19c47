/**
 * Blocks that travel compressed, where whoever asked for them said that it can unpack them. Imports its own folder only.
 *
 * What unpacks is given by the caller, as the CRC-32 is: the protocol knows no library. It is held to the length that the frame
 * names, which is no longer than a block may be; what comes out is checked by the CRC-32 of the bytes themselves.
 */

/** Both are defined by RFCs: 8878 and 7932. Their number on the wire is their place here, from 1. */
export const codecs = ['zstd', 'brotli'] as const;
export type Codec = (typeof codecs)[number];

/** `length`, `crc`: of the bytes before they were packed. */
export interface PackedBytes {
  readonly codec: Codec;
  readonly bytes: Uint8Array;
  readonly length: number;
  readonly crc: number;
}

/** What was packed. Never makes more than `length` bytes. @throws when that is not what comes out */
export type Unpack = (codec: Codec, bytes: Uint8Array, length: number) => Uint8Array;

export interface Packer {
  readonly codec: Codec;
  pack(bytes: Uint8Array): Uint8Array;
}

export function codecNumber(codec: Codec): number {
  return codecs.indexOf(codec) + 1;
}

/** undefined: none that we know. */
export function codecOf(number: number): Codec | undefined {
  return codecs[number - 1];
}
