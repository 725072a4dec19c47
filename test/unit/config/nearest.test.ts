import fc from 'fast-check';
import { expect, it } from 'vitest';
import { editDistance, nearest } from '../../../src/config/nearest.ts';

const keys = ['name', 'provider', 'template', 'train', 'setup', 'max-time', 'on', 'to'];

it.each([
  ['trian', 'train'],
  ['nmae', 'name'],
  ['Name', 'name'],
  ['maxTime', 'max-time'],
  ['max_tme', 'max-time'],
  ['providers', 'provider'],
  ['too', 'to'],
  ['zebra', null],
  ['', null],
])('takes %j for %j', (word, meant) => {
  expect(nearest(word, keys)).toBe(meant);
});

it('guesses nothing among nothing', () => {
  expect(nearest('a', [])).toBeNull();
});

it('measures a distance: zero for equal words only, the same both ways, never more than the longer word', () => {
  const word = fc.string({ maxLength: 8, unit: fc.constantFrom('a', 'b', 'c') });
  fc.assert(
    fc.property(word, word, (one, other) => {
      const distance = editDistance(one, other);
      expect(distance === 0).toBe(one === other);
      expect(editDistance(other, one)).toBe(distance);
      expect(distance).toBeGreaterThanOrEqual(Math.abs(one.length - other.length));
      expect(distance).toBeLessThanOrEqual(Math.max(one.length, other.length));
    }),
  );
});

it('counts a swap of neighbours, a letter more, less or other as one', () => {
  expect(['abdc', 'abcde', 'abc', 'abxd', 'abcd'].map((word) => editDistance('abcd', word))).toEqual([1, 1, 1, 1, 0]);
});
