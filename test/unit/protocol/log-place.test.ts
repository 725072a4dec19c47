import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LogGap } from '../../../src/protocol/log.ts';
import { type LogSource, lineStart, tailStart } from '../../../src/protocol/log-place.ts';

/** Reads at most `most` bytes at a time. What is gone reads as newlines, so that whoever reads it counts wrongly. */
function source(text: string, most = Number.MAX_SAFE_INTEGER, gaps: readonly LogGap[] = []): LogSource & { readonly bytes: Buffer } {
  const bytes = Buffer.from(text);
  const there = Buffer.from(bytes);
  for (const { from, to } of gaps) there.fill('\n', from, to);
  return { bytes, size: bytes.length, gaps, read: (offset, length) => there.subarray(offset, offset + Math.min(length, most)) };
}

const anyText = fc.array(fc.constantFrom('x', '\n', 'long line\n', 'é', '\r'), { maxLength: 30 }).map((parts) => parts.join(''));

describe('tailStart', () => {
  test('the last lines, with and without a newline at the end', () => {
    expect(tailStart(source('a\nb\nc\n'), 2)).toBe(2);
    expect(tailStart(source('a\nb\nc'), 1)).toBe(4);
    expect(tailStart(source('a\nb\n'), 9)).toBe(0);
    expect(tailStart(source('a\nb'), 0)).toBe(3);
    expect(tailStart(source(''), 3)).toBe(0);
  });

  test("as the shell's tail counts", () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 1, max: 9 }), (text, count) => {
        const lines = text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
        const { bytes, ...rest } = source(text);
        expect(bytes.subarray(tailStart(rest, count)).toString()).toBe(lines.slice(-count).join(''));
      }),
    );
  });

  test('across the pieces of a long log', () => {
    const text = Array.from({ length: 40_000 }, (_, n) => `line ${n}\n`).join('');
    expect(tailStart(source(text), 30_000)).toBe(text.indexOf('line 10000\n'));
  });

  test('newlines in what is gone count for nothing', () => {
    fc.assert(
      fc.property(anyText, fc.nat(40), fc.nat(40), fc.integer({ min: 1, max: 9 }), (text, a, b, count) => {
        const size = Buffer.byteLength(text);
        const [from = 0, to = 0] = [Math.min(a, size), Math.min(b, size)].sort((x, y) => x - y);
        const start = tailStart(source(text, undefined, from < to ? [{ from, to }] : []), count);
        const bytes = Buffer.from(text);
        const lines = (piece: Buffer) => piece.toString('latin1').split('\n').length - 1;
        const seen = start >= to ? bytes.subarray(start) : Buffer.concat([bytes.subarray(start, from), bytes.subarray(to)]);
        expect(start <= from || start >= to).toBe(true);
        expect(lines(seen)).toBeLessThanOrEqual(count);
      }),
    );
  });
});

describe('lineStart', () => {
  test('the next line that begins, also behind a carriage return', () => {
    expect(lineStart(source('one\ntwo\n'), 0)).toBe(0);
    expect(lineStart(source('one\ntwo\n'), 4)).toBe(4);
    expect(lineStart(source('one\ntwo\n'), 2)).toBe(4);
    expect(lineStart(source(' 1%\r 2%\r'), 5)).toBe(8);
    expect(lineStart(source('no end of a line'), 5)).toBe(5);
  });

  test('nothing of what is gone', () => {
    expect(lineStart(source('0123456789\nend\n', undefined, [{ from: 2, to: 6 }]), 3)).toBe(6);
  });
});
