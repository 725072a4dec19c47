/** What is packed of what is sent, and that it arrives. */
import { randomBytes } from 'node:crypto';
import zlib, { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createBlockWriter, type Packing } from '../../../src/protocol/block-writer.ts';
import { blockBytes } from '../../../src/protocol/frame.ts';
import { createPackPace } from '../../../src/protocol/pack-pace.ts';
import { codecs, type Packer } from '../../../src/protocol/packed.ts';
import { createPacker, createUnpack } from '../../../src/protocol/packer.ts';

const text = (size: number) => Buffer.alloc(size, 'const loss = model(batch).mean();\n');
const unpack = createUnpack(zlib);

function packing(wanted: readonly string[] = codecs): Packing & { tried: number } {
  const packer = createPacker(zlib, wanted) as Packer;
  const counted = {
    tried: 0,
    packer: {
      codec: packer.codec,
      pack: (bytes: Uint8Array) => {
        counted.tried += bytes.length;
        return packer.pack(bytes);
      },
    },
    pace: createPackPace(() => 0),
    crc32,
    garbage: () => {},
  };
  return counted;
}

/** Sends the pieces one behind the other, and gives what came out at the other end, and how many bytes that took. */
async function send(pieces: readonly Uint8Array[], packs: Packing | null) {
  const came: Buffer[] = [];
  let wire = 0;
  let expected = 0;
  const take = (offset: number, bytes: Uint8Array, sent: number) => {
    expect(offset).toBe(expected);
    expected += bytes.length;
    came.push(Buffer.from(bytes));
    wire += sent;
  };
  const writer = createBlockWriter(
    {
      block: async (offset, bytes) => {
        await null; // whoever fills the next block meanwhile leaves this one alone
        take(offset, bytes, bytes.length);
      },
      packed: async (offset, { codec, bytes, length, crc }) => {
        const unpacked = unpack(codec, bytes, length);
        expect(crc32(unpacked)).toBe(crc);
        take(offset, unpacked, bytes.length);
      },
    },
    packs,
  );
  for (const piece of pieces) {
    await writer.room(piece.length);
    writer.block.set(piece, writer.used);
    writer.used += piece.length;
  }
  await writer.finish();
  return { came: Buffer.concat(came), wire };
}

describe('blocks on their way', () => {
  it.each([[codecs], [['brotli']]])('arrive as they were, packed by %s or not', async (wanted) => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 3000 }),
      fc.integer({ min: 0, max: blockBytes }).map(text),
      fc.integer({ min: 0, max: blockBytes }).map((size) => randomBytes(size)),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 12 }), fc.boolean(), async (pieces, packs) => {
        const { came } = await send(pieces, packs ? packing(wanted) : null);
        expect(came.equals(Buffer.concat(pieces))).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  it('are small where that is possible', async () => {
    const { wire } = await send(
      Array.from({ length: 20 }, () => text(100_000)),
      packing(),
    );
    expect(wire).toBeLessThan(100_000);
  });

  it('are hardly looked at where they are dense, and soon again where they are not any more', async () => {
    const dense = Array.from({ length: 200 }, () => randomBytes(blockBytes));
    const packs = packing();
    const { wire } = await send(dense, packs);
    expect(wire).toBe(200 * blockBytes);
    expect(packs.tried).toBeLessThan(wire / 500);
    const behind = await send([...dense, ...Array.from({ length: 100 }, () => text(blockBytes))], packing());
    expect(behind.wire).toBeLessThan(wire + 17 * blockBytes);
  });
});
