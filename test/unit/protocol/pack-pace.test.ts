/** When packing pays: on links and computers of many kinds, by a clock of the test's own. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createPackPace } from '../../../src/protocol/pack-pace.ts';

const block = 256 * 1024;

interface Surroundings {
  /** Bytes a millisecond of each way at this moment. */
  readonly pace: (packs: boolean, sent: number) => number;
  /** What is left of a block, from 0 to 1. */
  readonly share?: number;
}

/** Sends so much; says how long it took, and how much left packed. */
function send(bytes: number, { pace, share = 0.2 }: Surroundings): { readonly ms: number; readonly packed: number } {
  let now = 0;
  let packed = 0;
  const paced = createPackPace(() => now);
  for (let sent = 0; sent < bytes; sent += block) {
    const packs = paced.packs;
    if (packs) paced.packed(block, block * share);
    paced.sent(block);
    const isPacked = packs && share < 0.8;
    if (isPacked) packed += block;
    now += block / pace(isPacked, sent);
  }
  return { ms: now, packed: Math.min(1, packed / bytes) };
}

describe('packing', () => {
  test('on a network that is slower than packing: nothing else is tried before 128 MB, and then for as long as 16 MB take', () => {
    const slow = (times: number) => (packs: boolean) => (packs ? 45_000 : 45_000 / times);
    expect(send(128e6, { pace: slow(4) }).packed).toBe(1);
    fc.assert(
      fc.property(fc.integer({ min: 140e6, max: 600e6 }), fc.integer({ min: 2, max: 50 }), (bytes, times) => {
        const { ms, packed } = send(bytes, { pace: slow(times) });
        expect(packed).toBeLessThan(1);
        expect(ms).toBeLessThan((bytes + 16 * 1024 * 1024 + 2 * block * times) / 45_000);
      }),
    );
  });

  test('where it is faster without: nearly never', () => {
    const { packed } = send(1e9, { pace: (packs) => (packs ? 120_000 : 300_000) });
    expect(packed).toBeLessThan(0.15);
    expect(packed).toBeGreaterThan(0);
  });

  test('on a busy computer that packs slower than a slow network sends: given up', () => {
    expect(send(2e9, { pace: (packs) => (packs ? 30_000 : 400_000) }).packed).toBeLessThan(0.15);
    expect(send(2e9, { pace: (packs) => (packs ? 20_000 : 40_000) }).packed).toBeLessThan(0.15);
  });

  test('where it is faster with: nearly always', () => {
    expect(send(1e9, { pace: (packs) => (packs ? 300_000 : 120_000) }).packed).toBeGreaterThan(0.9);
  });

  test('dense bytes are left alone, but for a look now and then', () => {
    let looks = 0;
    const paced = createPackPace(() => 0);
    for (let sent = 0; sent < 1e9; sent += block) {
      if (paced.packs) {
        looks += 1;
        paced.packed(block, block * 0.97);
      }
      paced.sent(block);
    }
    expect(looks).toBeLessThan(40);
    expect(looks).toBeGreaterThan(5);
  });

  test('a network that becomes slow is packed for again', () => {
    const { packed } = send(2e9, { pace: (packs, sent) => (sent < 4e8 ? (packs ? 100_000 : 300_000) : packs ? 48_000 : 10_000) });
    expect(packed).toBeGreaterThan(0.7);
  });

  test('whatever the two ways are like, trials cost little against the better of them', () => {
    const pace = fc.integer({ min: 1_000, max: 1_000_000 });
    fc.assert(
      fc.property(pace, pace, (plain, packs) => {
        const { ms } = send(1e9, { pace: (isPacked) => (isPacked ? packs : plain) });
        expect(ms).toBeLessThan((1e9 / Math.max(plain, packs)) * 1.25 + (160 * 1024 * 1024) / packs + (2 * 24 * 1024 * 1024) / plain);
      }),
    );
  });
});
