import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createCrc32c } from '../../../remote-runner/crc32c.ts';

function crcOf(...pieces: Uint8Array[]): number {
  const sum = createCrc32c();
  for (const piece of pieces) sum.update(piece);
  return sum.value;
}

/** Bit by bit, as RFC 3720 (B.4) defines it. */
function slowly(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

it('gives what RFC 3720 gives as examples', () => {
  expect(crcOf(Buffer.from('123456789'))).toBe(0xe3069283);
  expect(crcOf(Buffer.alloc(32))).toBe(0x8a9136aa);
  expect(crcOf(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43);
});

it('is the same in one piece, in many, and bit by bit', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), (bytes, at) => {
      expect(crcOf(bytes.subarray(0, at), bytes.subarray(at))).toBe(slowly(bytes));
    }),
  );
});
