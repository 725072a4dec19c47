/** Where chunks end: alike in WebAssembly and in plain words, by the content alone, and never far from the average. */

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chunkerSource } from '../../../scripts/write-chunker.ts';
import { ChunkListBuilder, chunkListOf, createChunkReader, indexChunks } from '../../../src/protocol/chunk-list.ts';
import { type Chunker, createChunker, createPlainChunker, leastBytes, mostBytes, roomBytes } from '../../../src/protocol/chunker.ts';
import { hashing } from '../../../src/sync/hashing.ts';
import { noise } from '../../support/noise.ts';

/** Given in pieces of any size, as a disk might. */
function lengthsOf(bytes: Uint8Array, chunker: Chunker, pieces: readonly number[] = [roomBytes]): number[] {
  let [at, nth] = [0, 0];
  const next = createChunkReader((into) => {
    const piece = bytes.subarray(at, at + Math.min(into.length, pieces[nth++ % pieces.length] as number));
    into.set(piece);
    at += piece.length;
    return piece.length;
  }, chunker);
  const lengths: number[] = [];
  for (let chunk = next(); chunk !== null; chunk = next()) {
    expect(Buffer.compare(chunk, bytes.subarray(lengths.reduce((sum, length) => sum + length, 0)).subarray(0, chunk.length))).toBe(0);
    lengths.push(chunk.length);
  }
  return lengths;
}

const content = fc.oneof(
  fc.record({ size: fc.integer({ min: 0, max: 900_000 }), seed: fc.nat(1000) }).map(({ size, seed }) => noise(size, seed)),
  fc.record({ size: fc.integer({ min: 0, max: 600_000 }), byte: fc.nat(255) }).map(({ size, byte }) => new Uint8Array(size).fill(byte)),
  fc
    .constantFrom(leastBytes, leastBytes + 1, mostBytes - 1, mostBytes, mostBytes + 1, roomBytes, roomBytes + 1, 2 * roomBytes + 5)
    .map((size) => noise(size, 7)),
);

describe('chunks', () => {
  it('are the same from WebAssembly and from plain words, however the content comes', () => {
    const [fast, plain] = [createChunker(), createPlainChunker()];
    fc.assert(
      fc.property(content, fc.array(fc.integer({ min: 1, max: 300_000 }), { minLength: 1, maxLength: 5 }), (bytes, pieces) => {
        const lengths = lengthsOf(bytes, fast, pieces);
        expect(lengths).toEqual(lengthsOf(bytes, plain));
        expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(bytes.length);
        expect(lengths.every((length) => length <= mostBytes)).toBe(true);
        expect(lengths.slice(0, -1).every((length) => length > leastBytes)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it('are the same but for one or two when bytes are put in or taken out', () => {
    const bytes = noise(3_000_000, 5);
    const chunker = createChunker();
    const digests = (all: Uint8Array) => {
      let at = 0;
      return lengthsOf(all, chunker).map((length) => hashing.hex(all.subarray(at, (at += length))));
    };
    const before = digests(bytes);
    expect(before.length).toBeGreaterThan(20);
    for (const place of [0, 10, 1_234_567, 2_999_000]) {
      const after = digests(Buffer.concat([bytes.subarray(0, place), Buffer.from('ten bytes!'), bytes.subarray(place)]));
      expect(after.filter((digest) => !before.includes(digest)).length).toBeLessThan(3);
    }
  });

  it('are cut by what scripts/write-chunker.ts makes', () => {
    expect(readFileSync(new URL('../../../src/protocol/chunker-wasm.ts', import.meta.url), 'utf8')).toBe(chunkerSource());
  });
});

describe('a list of chunks', () => {
  const chunk = fc.record({ length: fc.integer({ min: leastBytes, max: mostBytes }), seed: fc.nat(40) });

  it('finds each of its chunks, and no other', () => {
    fc.assert(
      fc.property(fc.array(chunk, { minLength: 1, maxLength: 200 }), (chunks) => {
        const builder = new ChunkListBuilder();
        for (const { length, seed } of chunks) builder.add(length, noise(32, seed));
        const list = chunkListOf(builder.bytes, builder.id(hashing), hashing);
        if (list === null) throw new Error('it is a list');
        expect(list.size).toBe(builder.size);
        const find = indexChunks(list);
        let offset = 0;
        for (const [nth, { length, seed }] of chunks.entries()) {
          expect(list.offset(nth)).toBe(offset);
          offset += length;
          const found = find(length, noise(32, seed));
          expect(found === null ? null : chunks[found]).toEqual({ length, seed });
          expect(find(length, noise(32, 99))).toBeNull();
        }
      }),
      { numRuns: 50 },
    );
  });

  it('is none where it is damaged, cut, or of impossible chunks', () => {
    const builder = new ChunkListBuilder();
    for (const seed of [1, 2, 3]) builder.add(leastBytes + seed, noise(32, seed));
    const { bytes } = builder;
    expect(chunkListOf(bytes, hashing.hex(bytes), hashing)?.count).toBe(3);
    expect(chunkListOf(bytes, hashing.hex(noise(3, 3)), hashing)).toBeNull();
    for (const other of [bytes.subarray(1), new Uint8Array(0), new Uint8Array(36), new Uint8Array(72).fill(255)]) {
      expect(chunkListOf(other, hashing.hex(other), hashing)).toBeNull();
    }
  });
});
