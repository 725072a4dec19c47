import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { tailStart } from '../../../src/workflows/follow.ts';

function pieces(text: string, size: number): { offset: number; bytes: Uint8Array }[] {
  const bytes = new TextEncoder().encode(text);
  const out: { offset: number; bytes: Uint8Array }[] = [];
  for (let at = 0; at < bytes.length; at += size) out.push({ offset: at, bytes: bytes.slice(at, at + size) });
  return out;
}

describe('tailStart', () => {
  test('the last lines, with and without a newline at the end', () => {
    expect(tailStart(pieces('a\nb\nc\n', 2), 2)).toBe(2);
    expect(tailStart(pieces('a\nb\nc', 3), 1)).toBe(4);
    expect(tailStart(pieces('a\nb\n', 10), 9)).toBe(0);
    expect(tailStart([], 3)).toBe(0);
  });

  test("as the shell's tail counts, however the log is cut into pieces", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('x', '\n', 'long line\n', 'é'), { maxLength: 30 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 6 }),
        (parts, size, count) => {
          const text = parts.join('');
          const lines = text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
          const expected = lines.slice(-count).join('');
          const bytes = new TextEncoder().encode(text);
          expect(new TextDecoder().decode(bytes.slice(tailStart(pieces(text, size), count)))).toBe(expected);
        },
      ),
    );
  });
});
