import { describe, expect, it } from 'vitest';
import { isSettled } from '../../../remote-runner/sync-disk.ts';

const now = 1_700_000_010_000_000_000n;
const file = (ctimeNs: bigint) => `file:17:3:${ctimeNs}:${ctimeNs}:420`;

describe('isSettled', () => {
  it.each([
    ['long ago', file(now - 5_000_000_001n), true],
    ['a moment ago', file(now - 50_000_001n), false],
    ['just now', file(now), false],
    ['later than now', file(now + 5_000_000_001n), false],
    ['a second ago, where only seconds are kept', file(now - 1_000_000_000n), false],
    ['three seconds ago, where only seconds are kept', file(now - 3_000_000_000n), true],
    ['a folder', 'dir:493', true],
  ])('%s', (_, fingerprint, settled) => {
    expect(isSettled(fingerprint, now)).toBe(settled);
  });
});
