import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createReceived } from '../../../src/runner/received.ts';

test('the proofs are those of the end of what came, without a hole, whatever the blocks', () => {
  const sizes = fc.array(fc.oneof(fc.nat({ max: 300 }), fc.integer({ min: 200_000, max: 262_144 })), { maxLength: 20 });
  fc.assert(
    fc.property(sizes, (lengths) => {
      const received = createReceived();
      const whole = Buffer.from(Array.from({ length: 1_000 }, (_, n) => n * 7));
      const log = Buffer.concat(lengths.map((length, n) => Buffer.alloc(length, whole.subarray(n))));
      let at = 0;
      for (const length of lengths) {
        const bytes = log.subarray(at, at + length);
        received.add(at, bytes, crc32(bytes));
        at += length;
      }
      const { proofs } = received;
      for (const { from, to, crc } of proofs) expect(crc).toBe(crc32(log.subarray(from, to)));
      for (const [n, { to }] of proofs.entries()) expect(to).toBe(proofs[n + 1]?.from ?? log.length);
      if (log.length > 0) expect(proofs.length).toBeGreaterThan(0);
      received.restart();
      expect(received.proofs).toEqual([]);
    }),
    { numRuns: 40 },
  );
});
