import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeBlock, encodeJson, type Frame, FrameDecoder, FrameError, MagicScanner, magicLine, maxFrameBytes } from '../../../src/protocol/frame.ts';

/** Cuts `bytes` at the given positions, in Buffers that are overwritten after use, as a socket's pool may be. */
function* inPieces(bytes: Uint8Array, cuts: readonly number[]): Generator<Buffer> {
  const places = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
  for (const [index, from] of places.entries()) {
    const piece = Buffer.from(bytes.subarray(from, places[index + 1] ?? from));
    yield piece;
    piece.fill(0xff);
  }
}

const message = fc.oneof(
  fc.jsonValue().map((value) => ({ encoded: encodeJson(value), expected: { kind: 'json', value: JSON.parse(JSON.stringify(value)) } })),
  fc
    .record({ call: fc.nat(), offset: fc.maxSafeNat(), bytes: fc.uint8Array({ maxLength: 2000 }) })
    .map(({ call, offset, bytes }) => ({ encoded: encodeBlock(call, offset, bytes), expected: { kind: 'block', call, offset, bytes } })),
);
const cuts = fc.array(fc.nat({ max: 20_000 }), { maxLength: 40 });

const withoutSize = ({ size: _, ...frame }: Frame) => frame;

describe('frames', () => {
  test('come out as they went in, however the bytes arrive', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 12 }), cuts, (messages, places) => {
        const decoder = new FrameDecoder();
        const frames: Frame[] = [];
        for (const piece of inPieces(Buffer.concat(messages.map(({ encoded }) => encoded)), places)) frames.push(...decoder.push(piece));
        // Compared after every piece was overwritten: a frame that only points into its piece would differ.
        expect(frames.map(withoutSize)).toEqual(messages.map(({ expected }) => expected));
        expect(decoder.atBoundary).toBe(true);
      }),
    );
  });

  test('say their body size, which is what flow control counts', () => {
    for (const encoded of [encodeJson({ a: 'ä' }), encodeBlock(1, 2, new Uint8Array(10))]) {
      expect(new FrameDecoder().push(encoded)[0]?.size).toBe(encoded.length - 5);
    }
  });

  test('a large frame that arrives in small pieces is joined once, not once a piece', () => {
    const block = encodeBlock(1, 0, new Uint8Array(maxFrameBytes - 100).fill(7));
    const decoder = new FrameDecoder();
    const frames: Frame[] = [];
    for (let at = 0; at < block.length; at += 1000) frames.push(...decoder.push(block.subarray(at, at + 1000)));
    expect(frames).toHaveLength(1);
    expect(frames[0]).toMatchObject({ kind: 'block', size: block.length - 5 });
  });

  test('garbage never gets through as anything but frames or a FrameError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), cuts, (garbage, places) => {
        const decoder = new FrameDecoder();
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
    ['a length beyond the limit', [1, 0, 128, 0]],
    ['the longest length there is', [255, 255, 255, 255]],
    ['an unknown kind', [1, 0, 0, 0, 0x58]],
    ['JSON that is none', [2, 0, 0, 0, 0x4a, 0x7b]],
    ['JSON that is not UTF-8', [4, 0, 0, 0, 0x4a, 0x22, 0xff, 0x22]],
    ['a block without its header', [3, 0, 0, 0, 0x42, 1, 2]],
    ['an offset beyond 2^53', [13, 0, 0, 0, 0x42, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]],
  ])('%s is refused', (_, bytes) => {
    expect(() => new FrameDecoder().push(Uint8Array.from(bytes))).toThrow(FrameError);
  });

  test('what is too long to be accepted is not sent', () => {
    expect(() => encodeBlock(1, 0, new Uint8Array(maxFrameBytes))).toThrow(FrameError);
    expect(() => encodeJson('x'.repeat(maxFrameBytes))).toThrow(FrameError);
    expect(() => encodeJson(undefined)).toThrow(FrameError);
    expect(new FrameDecoder().push(encodeBlock(1, 0, new Uint8Array(maxFrameBytes - 13)))).toHaveLength(1);
  });
});

describe('the magic line', () => {
  test('is found behind any noise and in any pieces, and nothing behind it is lost', () => {
    const noise = fc.string({ unit: 'binary', maxLength: 9000 }).filter((text) => !text.includes('GPU-RUN-RUNNER'));
    fc.assert(
      fc.property(noise, fc.uint8Array({ maxLength: 100 }), cuts, fc.boolean(), (before, rest, places, isWatched) => {
        const scanner = new MagicScanner();
        const seen: Uint8Array[] = [];
        let version: string | null = null;
        for (const piece of inPieces(Buffer.concat([Buffer.from(before), Buffer.from(magicLine({ version: '1.2.3-abc', isWatched })), rest]), places)) {
          if (version !== null) {
            seen.push(new Uint8Array(piece));
            continue;
          }
          const found = scanner.push(piece);
          if (found === null) continue;
          version = found.version;
          expect(found.isWatched).toBe(isWatched);
          seen.push(new Uint8Array(found.rest));
        }
        expect(version).toBe('1.2.3-abc');
        expect(new Uint8Array(Buffer.concat(seen))).toEqual(rest);
      }),
      { numRuns: 50 },
    );
  });

  test('another protocol version is refused by number', () => {
    expect(() => new MagicScanner().push(Buffer.from('\nGPU-RUN-RUNNER/99 9.9.9\n'))).toThrow(/protocol 99.*speaks 1/);
  });

  test('without it the noise is kept to be shown, its end first, and does not grow without bound', () => {
    const scanner = new MagicScanner();
    scanner.push(Buffer.from(`${'x'.repeat(10_000)}\nbash: node: command not found\n`));
    expect(scanner.noise).toMatch(/bash: node: command not found\n$/);
    expect(scanner.noise.length).toBe(4096);
    const flood = Buffer.alloc(64 * 1024, 'y\n');
    expect(() => {
      for (let i = 0; i < 17; i++) scanner.push(flood);
    }).toThrow(/1 MiB/);
  });

  test('in the middle of a line is no magic line', () => {
    expect(new MagicScanner().push(Buffer.from('echo GPU-RUN-RUNNER/1 x\n'))).toBeNull();
  });
});
