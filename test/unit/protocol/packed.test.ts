/** Blocks that travel packed: what comes out, and what a lying or broken wire can do. */
import { brotliCompressSync, crc32, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { packer } from '../../../remote-runner/pack.ts';
import { type Block, windowBytes } from '../../../src/protocol/call-state.ts';
import { blockBytes, DamagedFrameError, encodePackedHeader, type Frame, FrameDecoder, FrameError } from '../../../src/protocol/frame.ts';
import { type Codec, codecs, type PackedBytes } from '../../../src/protocol/packed.ts';
import { type Call, Peer } from '../../../src/protocol/peer.ts';
import { unpack } from '../../../src/runner/unpack.ts';
import { inPieces } from './in-pieces.ts';

const packWith: Readonly<Record<Codec, (bytes: Uint8Array) => Uint8Array>> = {
  zstd: (bytes) => zstdCompressSync(bytes),
  brotli: (bytes) => brotliCompressSync(bytes),
};
const packedOf = (codec: Codec, bytes: Uint8Array): PackedBytes => ({ codec, bytes: packWith[codec](bytes), length: bytes.length, crc: crc32(bytes) });
const encode = (call: number, offset: number, packed: PackedBytes) => Buffer.concat([encodePackedHeader(call, offset, packed, crc32), packed.bytes]);
const codec = fc.constantFrom(...codecs);
const lines = fc
  .array(fc.constantFrom('step=1 loss=0.25\n', 'step=2 loss=0.125\n', '\0\xff'), { maxLength: 200 })
  .map((all) => Buffer.from(all.join(''), 'latin1'));
const block = fc.record({ codec, call: fc.nat(), offset: fc.maxSafeNat(), bytes: fc.oneof(lines, fc.uint8Array({ maxLength: 3000 })) });

/** What a peer with one open call, or none, makes of it. */
async function blocksIn(wire: Uint8Array, cuts: readonly number[] = []): Promise<{ got: Block[]; failure: unknown }> {
  const peer = new Peer(async () => {}, null, crc32, unpack);
  const call = peer.open('read', {});
  let failure: unknown = null;
  for (const piece of inPieces(wire, cuts)) {
    try {
      await peer.feed(piece);
    } catch (error) {
      failure ??= error;
    }
  }
  peer.close(new Error('over'));
  const got: Block[] = [];
  try {
    for await (const part of call.parts()) if (part.kind === 'block') got.push(part.block);
  } catch {
    // it was closed
  }
  return { got, failure };
}

describe('a packed block', () => {
  test('comes out as it went in, however the bytes arrive, with the CRC of what was packed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(block, { maxLength: 6 }), fc.array(fc.nat({ max: 20_000 }), { maxLength: 20 }), async (blocks, cuts) => {
        const wire = Buffer.concat(blocks.map(({ codec, offset, bytes }) => encode(1, offset, packedOf(codec, bytes))));
        const { got, failure } = await blocksIn(wire, cuts);
        expect(failure).toBeNull();
        expect(got.map(({ offset, bytes, crc, sentBytes }) => [offset, Buffer.from(bytes), crc, sentBytes])).toEqual(
          blocks.map(({ codec, offset, bytes }) => [offset, Buffer.from(bytes), crc32(bytes), packWith[codec](bytes).length]),
        );
      }),
      { numRuns: 40 },
    );
  });

  test('weighs in flow control what it weighs unpacked', () => {
    const [frame] = new FrameDecoder(crc32).push(encode(1, 0, packedOf('zstd', new Uint8Array(100_000))));
    expect(frame).toMatchObject({ kind: 'packed', size: 100_017 } satisfies Partial<Frame>);
  });

  test('that is changed anywhere on its way is noticed, and never taken for another', async () => {
    await fc.assert(
      fc.asyncProperty(block, fc.nat(), fc.integer({ min: 1, max: 255 }), async ({ codec, offset, bytes }, at, xor) => {
        const wire = encode(1, offset, packedOf(codec, bytes));
        const place = 4 + (at % (wire.length - 4)); // with another length it is another frame, or waits for more
        wire[place] = (wire[place] as number) ^ xor;
        const { got, failure } = await blocksIn(wire);
        // Some bits of a codec's own header mean nothing: then all is as it was.
        if (failure === null) expect(got.map((each) => [each.offset, Buffer.from(each.bytes)])).toEqual([[offset, Buffer.from(bytes)]]);
        else expect(failure).toBeInstanceOf(DamagedFrameError);
      }),
      { numRuns: 200 },
    );
  });

  test.each(codecs)('%s: that would be longer than it says, or than a block may be, is not unpacked', async (codec) => {
    const bomb = packedOf(codec, new Uint8Array(16 * blockBytes));
    for (const length of [0, 1000, blockBytes, blockBytes + 1, 2 ** 31]) {
      const { got, failure } = await blocksIn(encode(1, 0, { ...bomb, length }));
      expect(failure).toBeInstanceOf(DamagedFrameError);
      expect(got).toEqual([]);
    }
    expect(() => unpack(codec, bomb.bytes, blockBytes)).toThrow();
    expect(() => unpack(codec, bomb.bytes.subarray(0, 20), 1000)).toThrow();
  });

  test('of a codec that nobody knows, or that nobody has asked for, ends the connection', async () => {
    const wire = encode(1, 0, packedOf('zstd', new Uint8Array(10)));
    await expect(new Peer(async () => {}, null, crc32).feed(wire)).rejects.toThrow(FrameError);
    wire[9 + 16] = 3;
    expect((await blocksIn(wire)).failure).toBeInstanceOf(DamagedFrameError);
  });

  test('counts against the window: more than that unread is no longer unpacked', async () => {
    const one = encode(1, 0, packedOf('zstd', new Uint8Array(blockBytes)));
    const { got, failure } = await blocksIn(Buffer.concat(Array.from({ length: 60 }, () => one)));
    expect(failure).toBeInstanceOf(FrameError);
    expect(got.length * blockBytes).toBeLessThanOrEqual(windowBytes + blockBytes);
  });
});

describe('between two peers', () => {
  test('packed and plain blocks keep their order, and wait for room', async () => {
    const plain = Buffer.from('step=1 loss=0.5\n'.repeat(16_384));
    const send = async (call: Call) => {
      const way = packer(['zstd', 'brotli']);
      if (way === null) throw new Error('there is no codec');
      for (let n = 0; n < 40; n++) {
        const bytes = Buffer.from(plain);
        bytes.writeUInt32LE(n);
        const packed = { codec: way.codec, bytes: way.pack(bytes), length: bytes.length, crc: crc32(bytes) };
        await (n % 3 === 0 ? call.block(n, bytes) : call.packed(n, packed));
      }
      return {};
    };
    const laptop: Peer = new Peer(async (...parts) => runner.feed(Buffer.concat(parts)), null, crc32, unpack);
    const runner: Peer = new Peer(async (...parts) => laptop.feed(Buffer.concat(parts)), send, crc32);
    const order: number[] = [];
    for await (const part of laptop.open('read', {}).parts()) {
      if (part.kind !== 'block') continue;
      expect(Buffer.from(part.block.bytes).readUInt32LE()).toBe(part.block.offset);
      expect(part.block.bytes.length).toBe(plain.length);
      order.push(part.block.offset);
    }
    expect(order).toEqual(Array.from({ length: 40 }, (_, n) => n));
  });
});

test.each([['zstd'], ['brotli']])('what the runner packs by %s is unpacked here', (codec) => {
  const way = packer([codec]);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
      const packed = way?.pack(bytes) ?? new Uint8Array(0);
      expect(Buffer.from(unpack(codec as Codec, packed, bytes.length))).toEqual(Buffer.from(bytes));
    }),
  );
});

test.each([[undefined], [null], ['zstd'], [[]], [['lz4']], [[1]]])('asked for %j nothing is packed', (wanted) => {
  expect(packer(wanted)).toBeNull();
});
