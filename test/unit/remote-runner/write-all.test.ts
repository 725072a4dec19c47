/** Disks that take a part of what they are given. */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { type WriteSome, writeAll } from '../../../remote-runner/write-all.ts';

const folder = mkdtempSync(join(tmpdir(), 'gpu-run-write-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'file');

/** Takes at most so many bytes at a time, in turn. */
function taking(most: readonly number[]): WriteSome {
  let calls = 0;
  return (fd, bytes, offset, length, position) => writeSync(fd, bytes, offset, Math.min(length, most[calls++ % most.length] ?? 1), position);
}

/** What the file holds after that, of which `before` was there. */
function written(flags: string, before: Uint8Array, bytes: Uint8Array, position: number | null, write?: WriteSome): Buffer {
  writeFileSync(file, before);
  const fd = openSync(file, flags);
  try {
    writeAll(fd, bytes, position, write);
  } finally {
    closeSync(fd);
  }
  return readFileSync(file);
}

test('every byte gets to its place, however few are taken at a time', () => {
  const content = fc.uint8Array({ maxLength: 200 });
  const most = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(content, content, most, (before, bytes, counts) => {
      const both = Buffer.concat([before, bytes]);
      expect(written('a', before, bytes, null, taking(counts))).toEqual(both);
      expect(written('r+', before, bytes, before.length, taking(counts))).toEqual(both);
      expect(written('r+', before, bytes, 0, taking(counts))).toEqual(Buffer.concat([bytes, before.subarray(bytes.length)]));
      expect(written('w', before, bytes, null, taking(counts))).toEqual(Buffer.from(bytes));
      expect(written('a', before, bytes, null)).toEqual(both);
    }),
    { numRuns: 30 },
  );
});

test('a disk that is full says so, with the part that it has taken in the file', () => {
  const full = Object.assign(new Error('no space'), { code: 'ENOSPC' });
  let left = 3;
  const filling: WriteSome = (fd, bytes, offset, length, position) => {
    if (left === 0) throw full;
    const some = Math.min(left, length, 2);
    left -= some;
    return writeSync(fd, bytes, offset, some, position);
  };
  expect(() => written('a', Buffer.from('old '), Buffer.from('new one'), null, filling)).toThrow(full);
  expect(readFileSync(file, 'utf8')).toBe('old new');
});
