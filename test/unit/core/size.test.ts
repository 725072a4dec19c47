import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatSize, parseSize } from '../../../src/core/size.ts';
import { refusal } from './refusal.ts';

describe('parseSize', () => {
  it.each([
    ['100GB', 100e9],
    ['100 gb', 100e9],
    ['512MiB', 512 * 2 ** 20],
    ['1.5TB', 1.5e12],
    ['2KiB', 2048],
    ['7B', 7],
  ])('reads %j as %d bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it.each(['100', '100G', '100 gi'])('refuses %j for want of a clear unit and offers both', (text) => {
    const { code, hints } = refusal(() => parseSize(text));
    expect(code).toBe('bad-input');
    expect(hints.join()).toMatch(/100GB.*100GiB/);
  });

  it.each(['', 'GB', '-1GB', '1e3GB', '100 GB disk', '0GB', '0.1B', '999999999TB', '1constructor'])('refuses %j', (text) => {
    expect(refusal(() => parseSize(text)).code).toBe('bad-input');
  });
});

describe('formatSize', () => {
  it.each([
    [0, '0B'],
    [999, '999B'],
    [1_500_000_000, '1.5GB'],
    [100e9, '100GB'],
    [999_999, '1MB'],
    [9_960, '10KB'],
  ])('writes %d bytes as %j', (bytes, text) => {
    expect(formatSize(bytes)).toBe(text);
  });

  it('stays within 5 % of the truth, and what it wrote it writes again', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e15 }), (bytes) => {
        const text = formatSize(bytes);
        const read = parseSize(text);
        return Math.abs(read - bytes) <= bytes * 0.05 && formatSize(read) === text;
      }),
    );
  });
});
