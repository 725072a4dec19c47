/** Where a job is told to go on from. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startFolder } from '../../../src/workflows/start-folder.ts';

test('a folder with something in it; never the whole project for a variable that was empty', () => {
  const base = mkdtempSync(join(tmpdir(), 'start-'));
  writeFileSync(join(base, 'file'), 'x');
  mkdirSync(join(base, 'empty'));
  expect(startFolder(undefined, base)).toEqual({});
  expect(startFolder('.', base)).toEqual({ startFrom: base });
  for (const [folder, why] of [
    ['', 'the name of the folder is empty'],
    [' ', 'the name of the folder is empty'],
    ['none', 'there is no folder'],
    ['file', 'is a file'],
    ['empty', 'there is nothing in'],
  ] as const)
    expect(() => startFolder(folder, base)).toThrow(expect.objectContaining({ code: 'bad-input', message: expect.stringContaining(why) }));
});
