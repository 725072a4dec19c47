/** Content of many files from one end to the other over memory, and what a hostile sender can do. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Part } from '../../../src/protocol/call-state.ts';
import { smallFileBytes } from '../../../src/protocol/content-id.ts';
import type { Told } from '../../../src/protocol/content-records.ts';
import { blockBytes, FrameError } from '../../../src/protocol/frame.ts';
import type { ContentDisk, FileToSend } from '../../../src/protocol/send-records.ts';
import { type FileDue, receiveFiles } from '../../../src/protocol/sync-content.ts';
import { sendFiles } from '../../../src/protocol/sync-content-send.ts';
import { hashing } from '../../../src/sync/hashing.ts';

interface Sample extends FileToSend {
  readonly bytes: Uint8Array;
  /** null: it vanished after it was listed. */
  readonly now: Uint8Array | null;
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** Bytes that differ from place to place. */
function bytesOf(size: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 1) bytes[at] = (at * 31 + (at >> 8) + seed * 17) & 0xff;
  return bytes;
}

const memory: ContentDisk<Sample> = {
  chunks: null,
  pause: async () => {},
  hashing,
  readSmall: ({ now }, into) => {
    if (now === null) return null;
    if (now.length >= into.length) return 'long';
    into.set(now);
    return { size: now.length, stamp: 's', torn: false };
  },
  open: ({ now }) => {
    if (now === null) return null;
    let at = 0;
    return {
      size: now.length,
      stamp: () => 's',
      read: (into) => {
        const piece = now.subarray(at, at + into.length);
        into.set(piece);
        at += piece.length;
        return piece.length;
      },
      skip: () => {},
      close: () => {},
    };
  },
};

async function blocksOf(files: readonly Sample[]): Promise<Uint8Array[]> {
  const blocks: Uint8Array[] = [];
  const block = async (_: number, bytes: Uint8Array) => void blocks.push(Uint8Array.from(bytes));
  const packed = () => Promise.reject(new Error('nothing is packed here'));
  await sendFiles({ block, packed }, files, memory, { packing: null });
  return blocks;
}

/** What lies at the receiver in the end, by index. */
async function arrive(blocks: readonly Uint8Array[], due: readonly FileDue[]): Promise<Map<number, Uint8Array | string>> {
  const arrived = new Map<number, Uint8Array | string>();
  async function* parts(): AsyncGenerator<Part, undefined> {
    let offset = 0;
    for (const bytes of blocks) {
      yield { kind: 'block', block: { offset, bytes, crc: 0, sentBytes: bytes.length } };
      offset += bytes.length;
    }
    return undefined;
  }
  const check = (bytes: Uint8Array, { size, id }: Told) => expect([bytes.length, sha256(bytes)]).toEqual([size, id]);
  await receiveFiles(parts(), due, {
    hashing,
    begin: () => {},
    pause: async () => {},
    whole: ({ index }, bytes, told) => {
      check(bytes, told);
      arrived.set(index, Uint8Array.from(bytes));
    },
    open: ({ index }) => {
      const pieces: Uint8Array[] = [];
      return {
        write: (bytes) => void pieces.push(Uint8Array.from(bytes)),
        place: (told) => {
          const bytes = Buffer.concat(pieces);
          check(bytes, told);
          arrived.set(index, Uint8Array.from(bytes));
        },
        close: () => {},
      };
    },
    absent: ({ index }, why) => void arrived.set(index, why),
  });
  return arrived;
}

const isEqual = (one: unknown, other: Uint8Array | null) => one instanceof Uint8Array && other !== null && Buffer.compare(one, other) === 0;

const sizes = fc.oneof(
  { arbitrary: fc.integer({ min: 0, max: 300 }), weight: 8 },
  { arbitrary: fc.integer({ min: 0, max: 70_000 }), weight: 3 },
  { arbitrary: fc.constantFrom(blockBytes - 60, blockBytes - 1, blockBytes, smallFileBytes - 1, smallFileBytes, smallFileBytes + 1), weight: 1 },
);
const sample = fc.record({
  size: sizes,
  seed: fc.nat(250),
  isAnnounced: fc.boolean(),
  becomes: fc.oneof({ arbitrary: fc.constant('same' as const), weight: 6 }, fc.constant('gone' as const), sizes),
});
const samples = fc.array(sample, { maxLength: 40 }).map((all) =>
  all.map(({ size, seed, isAnnounced, becomes }, nth): Sample => {
    const bytes = bytesOf(size, seed);
    const now = becomes === 'same' ? bytes : becomes === 'gone' ? null : bytesOf(becomes, seed + 1);
    return { index: nth * 7, size, announced: isAnnounced ? sha256(bytes) : null, base: null, part: null, bytes, now };
  }),
);
const dueOf = (files: readonly Sample[]): FileDue[] => files.map(({ index, announced }) => ({ index, announced, most: 4 * smallFileBytes }));

describe('the content of many files', () => {
  it('arrives as it is, whatever its sizes and whatever was said of it before', async () => {
    await fc.assert(
      fc.asyncProperty(samples, async (files) => {
        const blocks = await blocksOf(files);
        expect(blocks.every(({ length }) => length <= blockBytes)).toBe(true);
        const arrived = await arrive(blocks, dueOf(files));
        for (const { index, now } of files) expect(now === null ? arrived.get(index) === 'gone' : isEqual(arrived.get(index), now)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('takes few bytes beside the content itself', async () => {
    const files = Array.from({ length: 2000 }, (_, index): Sample => {
      const bytes = bytesOf(100, index);
      return { index, size: 100, announced: sha256(bytes), base: null, part: null, bytes, now: bytes };
    });
    const blocks = await blocksOf(files);
    expect(blocks.length).toBe(1);
    expect(blocks[0]?.length).toBeLessThan(2000 * 106);
  });

  it('is refused where a byte of it has changed, and never arrives as something else', async () => {
    await fc.assert(
      fc.asyncProperty(samples, fc.nat(), fc.integer({ min: 1, max: 255 }), async (files, place, change) => {
        const blocks = await blocksOf(files);
        fc.pre(blocks.length > 0);
        const block = blocks[place % blocks.length] as Uint8Array;
        const at = place % Math.min(block.length, 1 + (place % 3000));
        block[at] = (block[at] as number) ^ change;
        let arrived: Map<number, Uint8Array | string>;
        try {
          arrived = await arrive(blocks, dueOf(files));
        } catch (error) {
          expect(error).toBeInstanceOf(FrameError);
          return;
        }
        // Only what is said of a file may have become something else: that it was torn, is gone, or is here already.
        for (const { index, now } of files) expect(typeof arrived.get(index) === 'string' || isEqual(arrived.get(index), now)).toBe(true);
      }),
      { numRuns: 80 },
    );
  });

  it('is refused where it is noise', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 4 }), async (blocks) => {
        const due = [0, 1].map((index): FileDue => ({ index, announced: null, most: 1000 }));
        const outcome = await arrive(blocks, due).catch((error: unknown) => error);
        if (!(outcome instanceof Map)) expect(outcome).toBeInstanceOf(FrameError);
      }),
      { numRuns: 300 },
    );
  });
});
