import fc from 'fast-check';
import { expect, it } from 'vitest';
import { PackedFolder, packFolder, type Row } from '../../../src/protocol/packed-folder.ts';

const number = fc.double({ min: 0, max: Number.MAX_SAFE_INTEGER, noNaN: true });
const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter((text) => text.isWellFormed() && !/[\0/]/.test(text));
const row: fc.Arbitrary<Row> = fc.record({
  name,
  flags: fc.nat(255),
  mode: fc.nat(0o777),
  mtime: fc.maxSafeNat(),
  look: fc.record({ ino: number, size: number, mtimeMs: number, ctimeMs: number, mode: fc.nat(0o777) }),
  sha256: fc.option(fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes.fill(7, 0, 1)).toString('hex'))),
  extra: fc.option(fc.jsonValue({ maxDepth: 1 }), { nil: undefined }),
});
const rows = fc.uniqueArray(row, { selector: (each) => each.name, maxLength: 12 });
const mark = new Uint8Array(32).fill(9);

it('gives back what was packed, wherever in memory it lies', () => {
  fc.assert(
    fc.property(rows, fc.nat(9), (given, offset) => {
      const isFile = ({ flags }: Row) => flags % 2 === 0;
      const bytes = packFolder(given, isFile, mark);
      expect(bytes.length % 8).toBe(0);
      const moved = new Uint8Array(bytes.length + offset);
      moved.set(bytes, offset);
      const packed = new PackedFolder(moved.subarray(offset));
      expect([...packed.rows()]).toEqual(
        given.map((each) => ({ ...each, extra: each.extra === undefined ? undefined : JSON.parse(JSON.stringify(each.extra)) })),
      );
      expect(packed.files).toBe(given.filter(isFile).length);
      expect(packed.contentBytes).toBe(given.filter(isFile).reduce((sum, { look }) => sum + look.size, 0));
      expect(packed.mark).toEqual(mark);
      for (const [at, { look, flags }] of given.entries()) {
        expect(packed.flags(at)).toBe(flags);
        expect(packed.looksLike(at, look)).toBe(true);
        expect(packed.looksLike(at, { ...look, ctimeMs: look.ctimeMs + 1000 })).toBe(look.ctimeMs + 1000 === look.ctimeMs);
        expect(packed.looksLike(at, { ...look, mode: look.mode ^ 1 })).toBe(false);
      }
    }),
  );
});

it('reads nothing beyond its end', () => {
  const bytes = packFolder(
    [{ name: 'a', flags: 1, mode: 0, mtime: 0, look: { ino: 1, size: 2, mtimeMs: 3, ctimeMs: 4, mode: 5 }, sha256: null }],
    () => true,
    mark,
  );
  new DataView(bytes.buffer).setUint32(0, 2, true);
  expect(() => new PackedFolder(bytes)).toThrow(RangeError);
});
