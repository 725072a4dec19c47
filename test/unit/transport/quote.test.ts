import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { quoteArgv, shownArgv } from '../../../src/transport/quote.ts';

/** The words as a program behind `sh -c` gets them. */
function throughShell(words: readonly string[]): string[] {
  const output = execFileSync('sh', ['-c', quoteArgv(['printf', '%s\\0', ...words])], { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  return output.split('\0').slice(0, -1);
}

describe('quoteArgv', () => {
  test('any words pass a real shell unchanged', () => {
    const word = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }).map((text) => text.replaceAll('\0', '')),
      fc.string({ unit: fc.constantFrom("'", '"', '\\', '$', '`', '\n', ' ', '*', '~', '!', '#', '(', ')', '&', ';', '-', '=', 'a'), maxLength: 12 }),
    );
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 20 }), (words) => {
        expect(throughShell(words)).toEqual(words);
      }),
      { numRuns: 150 },
    );
  });

  test('a command named like an assignment or a keyword is still a command', () => {
    expect(() => execFileSync('sh', ['-c', quoteArgv(['A=b'])], { stdio: 'pipe' })).toThrow(/not found/);
    expect(() => execFileSync('sh', ['-c', quoteArgv(['if'])], { stdio: 'pipe' })).toThrow(/not found/);
  });

  test.each([[[]], [['a\0b']], [['\ud800']]])('refuses %j', (words) => {
    expect(() => quoteArgv(words)).toThrow(expect.objectContaining({ code: 'bad-input' }));
  });
});

test('for people, only what needs it is quoted', () => {
  expect(shownArgv(['gpu-run', 'train', '--start-from', '/tmp/a-b_c/1.2'])).toBe('gpu-run train --start-from /tmp/a-b_c/1.2');
  expect(shownArgv(['gpu-run', '/my runs', '~/x', 'A=b', ''])).toBe("gpu-run '/my runs' '~/x' 'A=b' ''");
});
