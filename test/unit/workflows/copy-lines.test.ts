/** Lines that are appended while the disk is full. Needs root, for a small file system. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { appendLines, openLines } from '../../../src/workflows/copy-lines.ts';

let folder: string;
let isMounted = false;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-lines-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=700', 'tmpfs', folder], { stdio: 'ignore' });
    isMounted = true;
  } catch {} // not allowed
});
afterAll(() => {
  if (isMounted) execFileSync('umount', ['-l', folder]);
  rmSync(folder, { recursive: true, force: true });
});

test('a line that is written by half is an error, and the next one is not glued to it', (context) => {
  if (!isMounted) context.skip();
  const fd = openLines(join(folder, 'lines'));
  const line = (n: number) => `${n} ${'x'.repeat(90)}\n`;
  writeFileSync(join(folder, 'junk'), new Uint8Array(40_000));
  let whole = 0;
  expect(() => {
    for (;;) {
      appendLines(fd, line(whole));
      whole += 1;
    }
  }).toThrow('ENOSPC');
  const before = readFileSync(join(folder, 'lines'), 'utf8');
  expect(before.endsWith('\n')).toBe(false); // half of one: else this test shows nothing
  rmSync(join(folder, 'junk'));
  appendLines(fd, line(whole));
  closeSync(fd);
  expect(readFileSync(join(folder, 'lines'), 'utf8')).toBe(`${before}\n${line(whole)}`);
});
