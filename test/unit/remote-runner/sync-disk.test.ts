import { describe, expect, it } from 'vitest';
import { isSettled } from '../../../remote-runner/sync-disk.ts';

const now = 1_700_000_010_000;
const file = (ctimeMs: number, mtimeMs = ctimeMs, size = 3) => `file:17:${size}:${mtimeMs}:${ctimeMs}:420`;
const large = 2 ** 20;

describe('isSettled', () => {
  it.each([
    ['long ago', file(now - 5000.0005), true],
    ['a moment ago', file(now - 50.0005), false],
    ['just now', file(now), false],
    ['later than now', file(now + 5000.0005), false],
    ['a second ago, where only seconds are kept', file(now - 1000), false],
    ['three seconds ago, where only seconds are kept', file(now - 3000), true],
    ['a folder', 'dir:493', true],
    ['a large one just now, with a time of long ago', file(now - 0.5, now - 60_000, large), true],
    ['a large one just now, written to just before', file(now - 0.5, now - 1, large), false],
    ['a small one just now, with a time of long ago', file(now - 0.5, now - 60_000, large - 1), false],
    ['a large one later than now', file(now + 50, now - 60_000, large), false],
  ])('%s', (_, fingerprint, settled) => {
    expect(isSettled(fingerprint, now)).toBe(settled);
  });
});
