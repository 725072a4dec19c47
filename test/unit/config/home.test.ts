import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { homePaths, prepareHome } from '../../../src/config/home.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-home-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));
const mode = (path: string) => statSync(path).mode & 0o7777;

test('a new state folder, and an empty one, become private', () => {
  prepareHome(homePaths(join(folder, 'new', 'home')));
  expect(mode(join(folder, 'new', 'home'))).toBe(0o700);
  chmodSync(folder, 0o755);
  rmSync(join(folder, 'new'), { recursive: true });
  prepareHome(homePaths(folder));
  expect(mode(folder)).toBe(0o700);
});

test.skipIf(process.platform !== 'linux')('where no folder can be made that is said, and not tried for ever', () => {
  expect(() => prepareHome(homePaths('/proc/none/home'))).toThrow(expect.objectContaining({ code: 'ENOENT', path: '/proc/none' }));
  writeFileSync(join(folder, 'file'), '');
  expect(() => prepareHome(homePaths(join(folder, 'file')))).toThrow(expect.objectContaining({ code: 'EEXIST' }));
  expect(() => prepareHome(homePaths(join(folder, 'file', 'home')))).toThrow(expect.objectContaining({ code: 'ENOTDIR' }));
});

test('one of ours that others may read becomes private again', () => {
  writeFileSync(join(folder, 'ledger.sqlite'), '');
  chmodSync(folder, 0o755);
  prepareHome(homePaths(folder));
  expect(mode(folder)).toBe(0o700);
});

test("somebody else's shared folder is refused and stays as it is", () => {
  writeFileSync(join(folder, 'of-somebody'), '');
  chmodSync(folder, 0o1777);
  expect(() => prepareHome(homePaths(folder))).toThrow(/others may read it/);
  expect(mode(folder)).toBe(0o1777);
});
