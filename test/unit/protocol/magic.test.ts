import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MagicScanner, magicLine } from '../../../src/protocol/magic.ts';
import { inPieces } from './in-pieces.ts';

const cuts = fc.array(fc.nat({ max: 20_000 }), { maxLength: 40 });

describe('the magic line', () => {
  test('is found behind any noise and in any pieces, and nothing behind it is lost', () => {
    const noise = fc.string({ unit: 'binary', maxLength: 9000 }).filter((text) => !text.includes('GPU-RUN-RUNNER'));
    fc.assert(
      fc.property(noise, fc.uint8Array({ maxLength: 100 }), cuts, fc.boolean(), (before, rest, places, isWatched) => {
        const scanner = new MagicScanner();
        const seen: Uint8Array[] = [];
        let version: string | null = null;
        for (const piece of inPieces(Buffer.concat([Buffer.from(before), Buffer.from(magicLine({ version: '1.2.3-abc', isWatched })), rest]), places)) {
          if (version !== null) {
            seen.push(new Uint8Array(piece));
            continue;
          }
          const found = scanner.push(piece);
          if (found === null) continue;
          version = found.version;
          expect(found.isWatched).toBe(isWatched);
          seen.push(new Uint8Array(found.rest));
        }
        expect(version).toBe('1.2.3-abc');
        expect(new Uint8Array(Buffer.concat(seen))).toEqual(rest);
      }),
      { numRuns: 50 },
    );
  });

  test('another protocol version is refused by number', () => {
    expect(() => new MagicScanner().push(Buffer.from('\nGPU-RUN-RUNNER/99 9.9.9\n'))).toThrow(/protocol 99.*speaks 2/);
  });

  test('without it the noise is kept to be shown, its end first, and does not grow without bound', () => {
    const scanner = new MagicScanner();
    scanner.push(Buffer.from(`${'x'.repeat(10_000)}\nbash: node: command not found\n`));
    expect(scanner.noise).toMatch(/bash: node: command not found\n$/);
    expect(scanner.noise.length).toBe(4096);
    const flood = Buffer.alloc(64 * 1024, 'y\n');
    expect(() => {
      for (let i = 0; i < 17; i++) scanner.push(flood);
    }).toThrow(/1 MiB/);
  });

  test('in the middle of a line is no magic line', () => {
    expect(new MagicScanner().push(Buffer.from('echo GPU-RUN-RUNNER/2 x\n'))).toBeNull();
  });
});
