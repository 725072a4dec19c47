import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Contender } from '../../../bench/sync/contender.ts';
import { takeRounds } from '../../../bench/sync/rounds.ts';
import { assertSameTree } from '../../../bench/sync/same-tree.ts';
import { editInside, editOneSource, makeNoiseFile, makeSources, moveIt } from '../../../bench/sync/trees.ts';
import { readTree, temporaryFolder, writeTree } from '../../support/tree.ts';

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder('bench');
});
afterEach(() => folder.remove());

const inside = (...names: string[]) => join(folder.path, ...names);
const still = { network: { wireBytes: () => null }, cpu: { now: () => null }, onStep: () => {} };

function copier(name: string, order: string[], copy = (from: string, to: string) => cpSync(from, to, { recursive: true })): Contender {
  const say = (what: string) => void order.push(`${name} ${what}`);
  return {
    name,
    kind: 'peer',
    form: null,
    connects: true,
    clear: async () => {
      say('clear');
      rmSync(inside(name), { recursive: true, force: true });
    },
    prepare: async () => say('prepare'),
    run: async () => {
      say('run');
      rmSync(inside(name), { recursive: true, force: true });
      copy(inside('source'), inside(name));
    },
    place: () => inside(name),
  };
}

test('a first push starts from nothing in each round, and everybody takes turns', async () => {
  writeTree(inside('source'), { 'a.txt': 'a' });
  const order: string[] = [];
  const taken = await takeRounds({ ...still, contenders: [copier('one', order), copier('two', order)], rounds: 2, source: inside('source') });
  const round = ['one prepare', 'one run', 'one clear', 'two prepare', 'two run', 'two clear'];
  expect(order).toEqual([...round, ...round, 'one clear', 'two clear']);
  expect(taken.map(({ name, samples }) => [name, samples.length])).toEqual([
    ['one', 2],
    ['two', 2],
  ]);
});

test('an edit comes once a round, after everybody has everything; a first run does not count', async () => {
  writeTree(inside('source'), { 'a.txt': 'a' });
  const order: string[] = [];
  const edit = (_: string, round: number) => () => {
    order.push(`edit ${round}`);
    writeFileSync(inside('source', 'a.txt'), `edit ${round}`);
  };
  const taken = await takeRounds({ ...still, contenders: [copier('one', order), copier('two', order)], rounds: 2, source: inside('source'), edit });
  const round = ['one run', 'two run'];
  expect(order).toEqual(['one prepare', 'one run', 'two prepare', 'two run', 'edit 1', ...round, 'edit 2', ...round, 'one clear', 'two clear']);
  expect(taken.map(({ samples }) => samples.length)).toEqual([2, 2]);
});

test('who edits a folder of its own is compared with that', async () => {
  writeTree(inside('source'), { 'a.txt': 'a' });
  const rounds: number[] = [];
  const own = copier('own', [], (_, to) => cpSync(inside('other'), to, { recursive: true }));
  const ready = async (round: number) => {
    rounds.push(round);
    writeTree(inside('other'), { 'b.txt': `edit ${round}` });
  };
  const contenders = [{ ...own, ready, ownSource: inside('other') }];
  await takeRounds({ ...still, contenders, rounds: 2, source: inside('source'), edit: () => () => {} });
  expect(rounds).toEqual([0, 1, 2]);
});

test('who leaves another tree there than the source is no result', async () => {
  writeTree(inside('source'), { 'a.txt': 'a' });
  const lazy = copier('lazy', [], (_, to) => mkdirSync(to));
  await expect(takeRounds({ ...still, contenders: [lazy], rounds: 1, source: inside('source') })).rejects.toThrow('a.txt is missing');
});

const base = { 'a/b.txt': 'text', 'run.sh': { text: '#!', mode: 0o755 }, link: { target: 'run.sh' }, 'empty/': null } as const;
test.each([
  ['other content', { ...base, 'a/b.txt': 'TEXT' }, 'a/b.txt has other content'],
  ['another size', { ...base, 'a/b.txt': 'texts' }, 'a/b.txt has other content'],
  ['another mode', { ...base, 'run.sh': { text: '#!', mode: 0o644 } }, 'run.sh has mode 100644 instead of 100755'],
  ['another target', { ...base, link: { target: 'a' } }, 'link has other content'],
  ['too much', { ...base, 'a/more.txt': '' }, 'a/more.txt is too much'],
  ['a folder that is missing', { 'a/b.txt': 'text', 'run.sh': { text: '#!', mode: 0o755 }, link: { target: 'run.sh' } }, 'empty is missing'],
])('%s is seen', (_, found, said) => {
  writeTree(inside('one'), base);
  writeTree(inside('same'), base);
  writeTree(inside('other'), found);
  assertSameTree(inside('one'), inside('same'));
  expect(() => assertSameTree(inside('one'), inside('other'))).toThrow(said);
});

test('large files are compared to their last byte', () => {
  const bytes = Buffer.alloc(9 * 1024 * 1024, 7);
  for (const name of ['one', 'other']) {
    mkdirSync(inside(name));
    writeFileSync(inside(name, 'big'), bytes);
  }
  assertSameTree(inside('one'), inside('other'));
  bytes[bytes.length - 1] = 8;
  writeFileSync(inside('other', 'big'), bytes);
  expect(() => assertSameTree(inside('one'), inside('other'))).toThrow('big has other content');
});

test('the folders are the same in every run', () => {
  for (const name of ['one', 'again']) {
    makeSources(inside(name), 40, 7, 'seed');
    makeNoiseFile(inside(name, 'noise'), 100_000);
    for (const round of [1, 2]) editOneSource(inside(name), round)();
    for (const round of [1, 2]) editInside(inside(name, 'noise'), round);
  }
  expect(readTree(inside('one'))).toEqual(readTree(inside('again')));
});

test('an edit of a large file puts ten bytes in front, and changes what is behind the middle', () => {
  makeNoiseFile(inside('noise'), 3_000_000);
  const before = readFileSync(inside('noise', 'data.bin'));
  editInside(inside('noise'), 1);
  const after = readFileSync(inside('noise', 'data.bin'));
  const middle = 1_500_000;
  expect(after.length).toBe(before.length + 10);
  expect(after.subarray(10, middle).equals(before.subarray(0, middle - 10))).toBe(true);
  expect(after.subarray(middle, middle + 1_048_576).equals(before.subarray(middle - 10, middle - 10 + 1_048_576))).toBe(false);
  expect(after.subarray(middle + 1_048_576).equals(before.subarray(middle + 1_048_576 - 10))).toBe(true);
});

test('the file that is moved stays the only one', () => {
  makeNoiseFile(inside('noise'), 1000);
  const { ino } = statSync(inside('noise', 'data.bin'));
  for (const round of [1, 2, 3]) {
    moveIt(inside('noise'), round);
    expect(readdirSync(inside('noise'), { recursive: true })).toEqual([`moved-${round}`, `moved-${round}/data-${round}.bin`]);
    expect(statSync(inside('noise', `moved-${round}`, `data-${round}.bin`)).ino).toBe(ino);
  }
});
