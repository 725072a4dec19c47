/**
 * What the content of a file is called: by its bytes alone, the same at both ends. Imports its own folder only; SHA-256 is given by the
 * caller, as the CRC-32 is.
 *
 *   up to `smallFileBytes`   the SHA-256 of the bytes
 *   larger                   the SHA-256 over its chunks in order: u32le length | SHA-256 of the chunk. Where chunks end says `chunker.ts`.
 *
 * Both are written as 64 hex digits; the size, which goes with them everywhere, says which one it is.
 */

export const smallFileBytes = 1024 * 1024;

/** SHA-256. */
export interface Hashing {
  raw(bytes: Uint8Array): Uint8Array;
  /** 64 hex digits. */
  hex(bytes: Uint8Array): string;
  start(): RunningHash;
}

export interface RunningHash {
  update(bytes: Uint8Array): void;
  /** 64 hex digits, of everything so far; nothing may come after it. */
  hex(): string;
}

export const sha256Bytes = 32;

const hexOfByte: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export function hexOf(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += hexOfByte[byte];
  return text;
}

/** Writes the bytes that `hex` stands for, an even number of lower-case digits, to `at`; gives where they end. */
export function writeHex(to: Uint8Array, at: number, hex: string): number {
  for (let digit = 0; digit < hex.length; digit += 2) to[at + (digit >> 1)] = (nibble(hex.charCodeAt(digit)) << 4) | nibble(hex.charCodeAt(digit + 1));
  return at + (hex.length >> 1);
}

function nibble(code: number): number {
  return code < 0x61 ? code - 0x30 : code - 0x57;
}
