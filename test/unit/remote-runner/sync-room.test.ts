import { describe, expect, it } from 'vitest';
import type { Placement } from '../../../remote-runner/sync-plan.ts';
import { type Coming, needsOf } from '../../../remote-runner/sync-room.ts';

const gb = 1e9;

/** `[size, frees, how]`; `frees` null: nothing is in its place. */
function needs(files: readonly (readonly [number, number | null, Coming?])[], removed: readonly number[] = [], folders = 0) {
  const comings = files.map(([, , coming = 'sent']) => coming);
  const placed = files.map(([size, frees], index): Placement => {
    const entry = { kind: 'file' as const, path: `f${index}`, mode: 0o644, mtime: 0, size, sha256: '0'.repeat(64) };
    return { entry, index, replaces: frees === null ? null : 'seen', blocked: false, frees: frees ?? 0 };
  });
  const made = Array.from({ length: folders }, (_, at): Placement => {
    return { entry: { kind: 'dir', path: `d${at}`, mode: 0o755, mtime: 0 }, index: files.length + at, replaces: null, blocked: false, frees: 0 };
  });
  const remove = removed.map((size, at) => ({ path: `r${at}`, replaces: 'seen', id: `file:${size}:${'0'.repeat(64)}` }));
  return needsOf({ place: [...made, ...placed], remove }, ({ index }) => comings[index] ?? 'sent');
}

describe('room that a push needs', () => {
  it('is all that is new', () =>
    expect(
      needs(
        [
          [gb, null],
          [gb, null],
        ],
        [],
        3,
      ),
    ).toEqual({ bytes: 2 * gb, inodes: 5 }));

  it('counts the second copy of what is replaced, one at a time', () => {
    expect(needs([[10 * gb, 10 * gb]])).toEqual({ bytes: 10 * gb, inodes: 1 });
    expect(
      needs([
        [10 * gb, 10 * gb],
        [10 * gb, 10 * gb],
      ]),
    ).toEqual({ bytes: 10 * gb, inodes: 1 });
    expect(
      needs([
        [10 * gb, gb],
        [10 * gb, gb],
      ]).bytes,
    ).toBe(19 * gb);
  });

  it('takes what goes off before anything is sent', () => {
    expect(needs([[10 * gb, null]], [4 * gb]).bytes).toBe(6 * gb);
    expect(needs([[gb, null]], [4 * gb]).bytes).toBe(0);
  });

  it('counts copies before anything goes, all of them at once, and what is renamed not at all', () => {
    expect(
      needs(
        [
          [3 * gb, 3 * gb, 'copied'],
          [3 * gb, 3 * gb, 'copied'],
        ],
        [4 * gb],
      ),
    ).toEqual({ bytes: 6 * gb, inodes: 1 });
    expect(needs([[3 * gb, null, 'moved']], [3 * gb])).toEqual({ bytes: 0, inodes: 1 });
    expect(
      needs(
        [
          [3 * gb, null, 'moved'],
          [gb, null],
        ],
        [3 * gb],
      ).bytes,
    ).toBe(gb);
  });

  it('has what an earlier push has put by already', () => expect(needs([[3 * gb, gb, 'put-by']])).toEqual({ bytes: 0, inodes: 1 }));

  it('does not count files that only change as more files', () => {
    expect(needs(Array.from({ length: 1_000 }, () => [1, 1] as const)).inodes).toBe(1);
    expect(
      needs([
        [1, 1],
        [1, null],
      ]).inodes,
    ).toBe(2);
  });
});
