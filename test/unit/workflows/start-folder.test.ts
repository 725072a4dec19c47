/** Folders that a job may begin from, and what of them is its checkpoints. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { newJobId } from '../../../src/core/run-id.ts';
import { jobFolders, leftOutText, startFolder } from '../../../src/workflows/start-folder.ts';

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'gpu-run-start-'));
});
afterEach(() => rmSync(base, { recursive: true }));

const refused = (folder: string) => {
  try {
    startFolder(folder, base);
  } catch (error) {
    return error;
  }
  return null;
};

test('a folder with something in it', () => {
  mkdirSync(join(base, 'saved/epoch-1'), { recursive: true });
  expect(startFolder('saved', base)).toEqual({ startFrom: join(base, 'saved') });
  expect(startFolder(undefined, base)).toEqual({});
});

test.each([
  ['', 'the name of the folder is empty'], // a variable that was
  [' ', 'the name of the folder is empty'],
  ['nowhere', 'there is no folder'],
  ['file', 'is a file'],
  ['empty', 'there is nothing in'],
])("'%s' is refused: %s", (folder, why) => {
  mkdirSync(join(base, 'empty'));
  writeFileSync(join(base, 'file'), '');
  expect(refused(folder)).toMatchObject({ code: 'bad-input', message: expect.stringContaining(why) });
});

test('folders of other jobs are no part of it; where there is nothing else, the newest is named', () => {
  const [older, newer] = [newJobId(Date.UTC(2026, 10, 21)), newJobId(Date.UTC(2026, 10, 20))];
  for (const name of [older, newer]) mkdirSync(join(base, 'saved', name), { recursive: true });
  utimesSync(join(base, 'saved', older), 1_000, 1_000);
  expect(refused('saved')).toMatchObject({ code: 'bad-input', hints: [expect.stringContaining(`--start-from ${join('saved', newer)};`)] });
  writeFileSync(join(base, 'saved', 'last'), 'step 10');
  for (const name of ['job-1', 'jobs', `${older}.old`]) mkdirSync(join(base, 'saved', name));
  writeFileSync(join(base, 'saved', newJobId(0)), 'a file');
  expect(startFolder('saved', base)).toEqual({ startFrom: join(base, 'saved') });
  expect(jobFolders(join(base, 'saved')).toSorted()).toEqual([older, newer].map((name) => join(base, 'saved', name)).toSorted());
});

test('a link that is called like a job leads to checkpoints, or nowhere, and is no folder of another job', () => {
  const [whole, broken] = [newJobId(0), newJobId(0)];
  mkdirSync(join(base, 'saved/epoch-1'), { recursive: true });
  symlinkSync('epoch-1', join(base, 'saved', whole));
  symlinkSync(broken, join(base, 'saved', broken)); // to itself
  expect(jobFolders(join(base, 'saved'))).toEqual([]);
  expect(startFolder('saved', base)).toEqual({ startFrom: join(base, 'saved') });
});

test('what is left out is said in one line, with the newest of them', () => {
  const saved = join(base, 'saved here');
  const folders = [newJobId(0), newJobId(0)].map((name) => join(saved, name));
  for (const folder of folders) mkdirSync(folder, { recursive: true });
  const [older = '', newer = ''] = folders;
  utimesSync(older, 1_000, 1_000);
  expect(leftOutText(saved, [])).toBeNull();
  expect(leftOutText(saved, [older])).toBe(
    `${basename(older)} in ${saved} is the folder of another job and is left out. To begin from it instead: --start-from '${older}'`,
  );
  expect(leftOutText(saved, folders)).toBe(
    `${basename(newer)} and 1 more in ${saved} are folders of other jobs and are left out. To begin from that one instead: --start-from '${newer}'`,
  );
});
