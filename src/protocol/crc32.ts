/** CRC-32 as zlib counts it (reflected polynomial 0xEDB88320), for a Node whose zlib has none. Imports nothing. */

/** The CRC-32 of `bytes`; with `before`, of what had that one and `bytes` behind it. An unsigned whole number. */
export type Crc32 = (bytes: Uint8Array, before?: number) => number;

export const crc32: Crc32 = (bytes, before = 0) => {
  let crc = ~before;
  for (let at = 0; at < bytes.length; at++) crc = (crc >>> 8) ^ (table[(crc ^ (bytes[at] as number)) & 0xff] as number);
  return ~crc >>> 0;
};

/** What each byte does to the rest. Filled once, never changed. */
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});
