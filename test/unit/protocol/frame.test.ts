import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc32 as byTable } from '../../../src/protocol/crc32.ts';
import { DamagedFrameError, encodeBlockHeader, encodeJson, type Frame, FrameDecoder, FrameError, maxFrameBytes } from '../../../src/protocol/frame.ts';
import { inPieces } from './in-pieces.ts';

const encodeBlock = (call: number, offset: number, bytes: Uint8Array) => Buffer.concat([encodeBlockHeader(call, offset, bytes, crc32), bytes]);

const message = fc.oneof(
  fc.jsonValue().map((value) => ({ encoded: encodeJson(value, crc32), expected: { kind: 'json', value: JSON.parse(JSON.stringify(value)) } })),
  fc
    .record({ call: fc.nat(), offset: fc.maxSafeNat(), bytes: fc.uint8Array({ maxLength: 2000 }) })
    .map(({ call, offset, bytes }) => ({ encoded: encodeBlock(call, offset, bytes), expected: { kind: 'block', call, offset, bytes, crc: crc32(bytes) } })),
);
const cuts = fc.array(fc.nat({ max: 20_000 }), { maxLength: 40 });

/** A frame whose CRC is right, whatever is in it. */
function withCrc(kind: number, body: Uint8Array): Buffer {
  const frame = Buffer.alloc(9 + body.length);
  frame.writeUInt32LE(5 + body.length, 0);
  frame[4] = kind;
  frame.writeUInt32LE(crc32(body), 5);
  frame.set(body, 9);
  return frame;
}

const withoutSize = ({ size: _, ...frame }: Frame) => frame;

describe('frames', () => {
  test('come out as they went in, however the bytes arrive', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 12 }), cuts, (messages, places) => {
        const decoder = new FrameDecoder(crc32);
        const frames: Frame[] = [];
        for (const piece of inPieces(Buffer.concat(messages.map(({ encoded }) => encoded)), places)) frames.push(...decoder.push(piece));
        // Compared after every piece was overwritten: a frame that only points into its piece would differ.
        expect(frames.map(withoutSize)).toEqual(messages.map(({ expected }) => expected));
        expect(decoder.atBoundary).toBe(true);
      }),
    );
  });

  test('say their body size, which is what flow control counts', () => {
    for (const encoded of [encodeJson({ a: 'ä' }, crc32), encodeBlock(1, 2, new Uint8Array(10))]) {
      expect(new FrameDecoder(crc32).push(encoded)[0]?.size).toBe(encoded.length - 9);
    }
  });

  test('a large frame that arrives in small pieces is joined once, not once a piece', () => {
    const block = encodeBlock(1, 0, new Uint8Array(maxFrameBytes - 100).fill(7));
    const decoder = new FrameDecoder(crc32);
    const frames: Frame[] = [];
    for (let at = 0; at < block.length; at += 1000) frames.push(...decoder.push(block.subarray(at, at + 1000)));
    expect(frames).toHaveLength(1);
    expect(frames[0]).toMatchObject({ kind: 'block', size: block.length - 9 });
  });

  test('garbage never gets through as anything but frames or a FrameError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), cuts, (garbage, places) => {
        const decoder = new FrameDecoder(crc32);
        try {
          for (const piece of inPieces(garbage, places)) decoder.push(piece);
        } catch (error) {
          expect(error).toBeInstanceOf(FrameError);
        }
      }),
    );
  });

  test.each([
    ['length 0', [0, 0, 0, 0]],
    ['a length without room for the CRC', [4, 0, 0, 0, 0x4a]],
    ['a length beyond the limit', [1, 0, 128, 0]],
    ['the longest length there is', [255, 255, 255, 255]],
    ['an unknown kind', [5, 0, 0, 0, 0x58, 0, 0, 0, 0]],
    ['a block without its header', [7, 0, 0, 0, 0x42, 0, 0, 0, 0, 1, 2]],
    ['a message with another CRC', [7, 0, 0, 0, 0x4a, 1, 2, 3, 4, 0x7b, 0x7d]],
  ])('%s is refused as damaged', (_, bytes) => {
    expect(() => new FrameDecoder(crc32).push(Uint8Array.from(bytes))).toThrow(DamagedFrameError);
  });

  test.each([
    ['JSON that is none', withCrc(0x4a, Buffer.from('{'))],
    ['JSON that is not UTF-8', withCrc(0x4a, Buffer.from([0x22, 0xff, 0x22]))],
    ['an offset beyond 2^53', withCrc(0x42, Buffer.from([1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]))],
  ])('%s is refused, and was sent so', (_, bytes) => {
    const push = () => new FrameDecoder(crc32).push(bytes);
    expect(push).toThrow(FrameError);
    expect(push).not.toThrow(DamagedFrameError);
  });

  test('any bytes that are changed on the way never come out as anything but what was sent', () => {
    const change = fc.record({ at: fc.nat(), xor: fc.integer({ min: 1, max: 255 }) });
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 6 }), fc.array(change, { minLength: 1, maxLength: 3 }), (messages, changes) => {
        const wire = Buffer.concat(messages.map(({ encoded }) => encoded));
        for (const { at, xor } of changes) wire[at % wire.length] = (wire[at % wire.length] as number) ^ xor;
        const decoder = new FrameDecoder(crc32);
        const frames: Frame[] = [];
        try {
          for (let at = 0; at < wire.length; at++) frames.push(...decoder.push(wire.subarray(at, at + 1)));
        } catch (error) {
          expect(error).toBeInstanceOf(DamagedFrameError);
        }
        expect(frames.map(withoutSize)).toEqual(messages.slice(0, frames.length).map(({ expected }) => expected));
      }),
    );
  });

  test('our own CRC-32 is the one of zlib, also when it is counted in parts', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat({ max: 300 }), (bytes, cut) => {
        expect(byTable(bytes)).toBe(crc32(bytes));
        expect(byTable(bytes.subarray(cut), byTable(bytes.subarray(0, cut)))).toBe(crc32(bytes));
      }),
    );
  });

  test('what is too long to be accepted is not sent', () => {
    expect(() => encodeBlock(1, 0, new Uint8Array(maxFrameBytes))).toThrow(FrameError);
    expect(() => encodeJson('x'.repeat(maxFrameBytes), crc32)).toThrow(FrameError);
    expect(() => encodeJson(undefined, crc32)).toThrow(FrameError);
    expect(new FrameDecoder(crc32).push(encodeBlock(1, 0, new Uint8Array(maxFrameBytes - 17)))).toHaveLength(1);
  });
});
