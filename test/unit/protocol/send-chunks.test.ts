/** One large file from one end to the other over memory: with an older version, with a part of it, with what is known of it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Part } from '../../../src/protocol/call-state.ts';
import { type ChunkList, ChunkListBuilder, chunkListOf, createChunkReader } from '../../../src/protocol/chunk-list.ts';
import { createChunker } from '../../../src/protocol/chunker.ts';
import type { ContentDisk, FileToSend, Made } from '../../../src/protocol/send-records.ts';
import { receiveFiles } from '../../../src/protocol/sync-content.ts';
import { sendFiles } from '../../../src/protocol/sync-content-send.ts';
import { hashing } from '../../../src/sync/hashing.ts';
import { noise } from '../../support/noise.ts';

function builderOf(bytes: Uint8Array): ChunkListBuilder {
  let at = 0;
  const builder = new ChunkListBuilder();
  const next = createChunkReader((into) => {
    const piece = bytes.subarray(at, at + into.length);
    into.set(piece);
    at += piece.length;
    return piece.length;
  }, createChunker());
  for (let chunk = next(); chunk !== null; chunk = next()) builder.add(chunk.length, hashing.raw(chunk));
  return builder;
}

function listOf(bytes: Uint8Array): { list: ChunkList; id: string } {
  const builder = builderOf(bytes);
  const id = builder.id(hashing);
  const list = chunkListOf(builder.bytes, id, hashing);
  if (list === null) throw new Error('it is a list');
  return { list, id };
}

interface Scene {
  /** At the sender. */
  readonly bytes: Uint8Array;
  readonly base: Uint8Array | null;
  /** What has come of it before, or of something else. */
  readonly part: Uint8Array | null;
  readonly isKnown: boolean;
  /** What the sender's file is by the time of its second half; null: it stays. */
  readonly becomes?: Uint8Array;
}

async function send({ bytes, base, part, isKnown, becomes }: Scene) {
  const old = base === null ? null : listOf(base);
  const begun = part === null ? null : builderOf(part);
  const mine = listOf(bytes);
  const made: Made | undefined = isKnown ? { stamp: '0', list: mine.list } : undefined;
  const file: FileToSend = {
    index: 3,
    size: bytes.length,
    announced: mine.id,
    base: old?.id ?? null,
    part: begun === null ? null : { size: begun.size, id: begun.id(hashing) },
    made,
  };
  let [now, changes, read, sent, saved] = [bytes, 0, 0, 0, 0];
  const disk: ContentDisk<FileToSend> = {
    hashing,
    readSmall: () => 'long',
    open: () => {
      const [opened] = [now];
      let at = 0;
      return {
        size: opened.length,
        stamp: () => String(changes),
        read: (into) => {
          if (becomes !== undefined && changes === 0 && at > opened.length / 2) [now, changes] = [becomes, 1];
          const piece = now.subarray(at, Math.min(opened.length, at + into.length));
          into.set(piece);
          at += piece.length;
          read += piece.length;
          return piece.length;
        },
        skip: (count) => {
          at += count;
        },
        close: () => {},
      };
    },
    chunks: { memory: { known: (id) => (id === old?.id ? old.list : null), keep: () => {} }, createChunker },
    pause: async () => {},
  };
  const blocks: Uint8Array[] = [];
  const call = { block: async (_: number, block: Uint8Array) => void blocks.push(Uint8Array.from(block)), packed: () => Promise.reject(new Error('unpacked')) };
  const onBytes = (travels: number, isThere: number) => {
    sent += travels;
    saved += isThere;
  };
  await sendFiles(call, [file], disk, { packing: null, onBytes });

  async function* parts(): AsyncGenerator<Part, undefined> {
    let offset = 0;
    for (const block of blocks) {
      yield { kind: 'block', block: { offset, bytes: block, crc: 0, sentBytes: block.length } };
      offset += block.length;
    }
    return undefined;
  }
  const begunIn = (pieces: Uint8Array[]): ChunkListBuilder => {
    if (begun === null || part === null) throw new Error('nothing was offered');
    pieces.push(part.subarray(0, begun.size));
    return begun;
  };
  let [arrived, torn] = [Buffer.alloc(0), false];
  await receiveFiles(parts(), [{ index: 3, announced: mine.id, most: 4 * bytes.length + 1e7 }], {
    hashing,
    begin: () => {},
    pause: async () => {},
    whole: () => expect.unreachable(),
    absent: () => expect.unreachable(),
    open: () => {
      const pieces: Uint8Array[] = [];
      return {
        write: (piece) => void pieces.push(Uint8Array.from(piece)),
        place: (told) => {
          arrived = Buffer.concat(pieces);
          torn = told.torn;
        },
        close: () => {},
        ...(old === null
          ? {}
          : {
              base: {
                list: old.list,
                read: (into: Uint8Array, at: number) => into.set((base as Uint8Array).subarray(at, at + into.length)),
                spoiled: () => new Error('spoiled'),
              },
            }),
        ...(begun === null ? {} : { keep: () => begunIn(pieces) }),
      };
    },
  });
  return { arrived, torn, read, sent, saved };
}

const edit = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), out: fc.nat(200_000), into: fc.nat(200_000), seed: fc.nat(99) });
const edits = fc.array(edit, { maxLength: 3 });
const applied = (bytes: Uint8Array, all: readonly { at: number; out: number; into: number; seed: number }[]) =>
  all.reduce<Uint8Array>((now, { at, out, into, seed }) => {
    const from = Math.floor(at * now.length);
    return Buffer.concat([now.subarray(0, from), noise(into, seed), now.subarray(from + out)]);
  }, bytes);

describe('a large file that is sent in chunks', () => {
  it('arrives as it is, whatever the other side has of it and whatever is known', async () => {
    await fc.assert(
      fc.asyncProperty(edits, fc.option(edits), fc.option(fc.nat(2_000_000)), edits, fc.boolean(), async (mine, older, partBytes, partEdits, isKnown) => {
        const start = noise(2_500_000, 1);
        const bytes = applied(start, mine);
        fc.pre(bytes.length > 1_100_000);
        const base = older === null ? null : applied(start, older);
        const whole = partBytes === null ? null : applied(bytes, partEdits).subarray(0, partBytes);
        const { arrived, torn } = await send({ bytes, base, part: whole === null || whole.length === 0 ? null : whole, isKnown });
        expect([Buffer.compare(arrived, bytes), torn]).toEqual([0, false]);
      }),
      { numRuns: 25 },
    );
  });

  it('is hardly read, and hardly travels, where its chunks and an older version are known', async () => {
    const base = noise(6_000_000, 2);
    const bytes = applied(base, [{ at: 0.5, out: 1000, into: 2000, seed: 5 }]);
    const { arrived, read, sent, saved } = await send({ bytes, base, part: null, isKnown: true });
    expect(arrived.equals(bytes)).toBe(true);
    expect(sent).toBeLessThan(500_000);
    expect(read).toBe(sent);
    expect(sent + saved).toBe(bytes.length);
  });

  it.each([true, false])('is sent again when it changed meanwhile (known: %s)', async (isKnown) => {
    const bytes = noise(3_000_000, 3);
    const becomes = noise(3_100_000, 4);
    const { arrived, torn } = await send({ bytes, base: null, part: null, isKnown, becomes });
    expect([arrived.equals(becomes), torn]).toEqual([true, false]);
  });
});
