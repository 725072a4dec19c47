import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeFrame, encodeFrame, type Frame, largestData } from '../../../../../src/providers/gcp/access/iap/frames.ts';
import { createUnconfirmed } from '../../../../../src/providers/gcp/access/iap/unconfirmed.ts';

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
const frame: fc.Arbitrary<Exclude<Frame, { kind: 'unknown' }>> = fc.oneof(
  fc.record({ kind: fc.constant('connected' as const), sid: fc.stringMatching(/^[\x21-\x7e]{1,80}$/) }),
  fc.record({ kind: fc.constant('reconnected' as const), received: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }),
  fc.record({ kind: fc.constant('data' as const), bytes }),
  fc.record({ kind: fc.constant('ack' as const), received: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }),
);

describe('frames', () => {
  test('stand as documented', () => {
    expect(encodeFrame({ kind: 'connected', sid: 'ab' }).toString('hex')).toBe('0001000000026162');
    expect(encodeFrame({ kind: 'reconnected', received: 258n }).toString('hex')).toBe('00020000000000000102');
    expect(encodeFrame({ kind: 'data', bytes: Buffer.from('hi') }).toString('hex')).toBe('0004000000026869');
    expect(encodeFrame({ kind: 'ack', received: 32_769n }).toString('hex')).toBe('00070000000000008001');
    expect(largestData).toBe(16_384);
  });

  test('what is written is read, whatever follows within the message', () => {
    fc.assert(
      fc.property(frame, bytes, (given, more) => {
        expect(decodeFrame(Buffer.concat([encodeFrame(given), more]))).toEqual({ ...given });
      }),
    );
  });

  test('a frame that is cut off anywhere is refused', () => {
    fc.assert(
      fc.property(frame, fc.nat(), (given, at) => {
        const whole = encodeFrame(given);
        expect(() => decodeFrame(whole.subarray(0, at % whole.length))).toThrow(expect.objectContaining({ code: 'protocol' }));
      }),
    );
  });

  test('other tags are passed over; the name of a tunnel holds nothing that changes an address', () => {
    expect(decodeFrame(Buffer.from('0009ff', 'hex'))).toEqual({ kind: 'unknown', tag: 9 });
    for (const sid of ['', 'a b', 'a\n', 'x'.repeat(5000)]) {
      expect(() => decodeFrame(encodeFrame({ kind: 'connected', sid }))).toThrow(expect.objectContaining({ code: 'protocol' }));
    }
  });
});

describe('what is not confirmed', () => {
  test('is exactly what was sent after the confirmed bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(bytes, fc.nat({ max: 400 })), { maxLength: 40 }), (steps) => {
        const unconfirmed = createUnconfirmed();
        let sent = Buffer.alloc(0);
        let confirmed = 0;
        for (const step of steps) {
          if (typeof step === 'number') {
            confirmed = Math.min(sent.length, confirmed + step);
            unconfirmed.confirm(BigInt(confirmed));
          } else {
            unconfirmed.add(step);
            sent = Buffer.concat([sent, step]);
          }
          expect(Buffer.concat(unconfirmed.chunks())).toEqual(sent.subarray(confirmed));
          expect(unconfirmed.size).toBe(sent.length - confirmed);
        }
      }),
    );
  });

  test('can be neither more than was sent nor taken back', () => {
    const unconfirmed = createUnconfirmed();
    unconfirmed.add(Buffer.from('12345'));
    unconfirmed.confirm(3n);
    for (const wrong of [2n, 6n, 2n ** 64n - 1n]) expect(() => unconfirmed.confirm(wrong)).toThrow(expect.objectContaining({ code: 'protocol' }));
    expect(unconfirmed.chunks()).toEqual([Buffer.from('45')]);
  });
});
