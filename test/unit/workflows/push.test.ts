import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { hasTracked } from '../../../src/sync/git.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-tracked-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('outputs that git tracks are told from those that it does not', () => {
  for (const name of ['runs', 'out puts', 'sub/runs']) {
    mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, name, 'file'), 'x');
  }
  expect(hasTracked(folder, 'runs')).toBe(false);
  execFileSync('git', ['init', '-q', folder]);
  expect(hasTracked(folder, 'runs')).toBe(false);
  execFileSync('git', ['-C', folder, 'add', 'out puts/file', 'sub/runs/file']);
  expect(hasTracked(folder, 'runs')).toBe(false);
  expect(hasTracked(folder, 'out puts')).toBe(true);
  expect(hasTracked(join(folder, 'sub'), 'runs')).toBe(true);
  expect(hasTracked(folder, 'nowhere')).toBe(false);
});
