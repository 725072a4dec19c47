/** A tree that is kept is the tree that a walk would find: held against one after every few changes. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { type LiveTree, liveTree } from '../../../src/sync/live-tree.ts';
import type { ScanNotes, ScanOptions } from '../../../src/sync/scan.ts';
import { readTree, type Tree } from '../../../src/sync/tree.ts';

const folders: string[] = [];
const opened: LiveTree[] = [];
afterEach(() => {
  for (const live of opened.splice(0)) live.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function tree(options: Partial<ScanOptions> = {}) {
  const from = mkdtempSync(join(tmpdir(), 'gpu-run-live-'));
  folders.push(from);
  const all: ScanOptions = { from, to: '', ignore: { exclude: ['*.out'], globalExcludes: null }, never: [], ...options };
  let walks = 0;
  let told = 0;
  const live = liveTree(
    all,
    () => (told += 1),
    () => (walks += 1),
  );
  opened.push(live);
  const { signal } = new AbortController();
  const current = async () => (await live.current(new Map(), signal)).tree;
  const shown = ({ digest, files, bytes, entries }: Tree, notes: ScanNotes) => ({ digest, files, bytes, entries: [...entries()], ...notes });
  const compare = async () => {
    const kept = await live.current(new Map(), signal);
    const notes: ScanNotes = { unreadable: [], warnings: [] };
    expect(shown(kept.tree, kept.notes)).toEqual(shown(await readTree(all, new Map(), notes, signal), notes));
  };
  return { from, live, current, compare, walks: () => walks, told: () => told };
}

const names = ['a', 'b', 'a.b', 'c.out', '.gitignore', 'd'];
const anyPath = fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
const contents = fc.constantFrom('one', 'two', 'a.b', 'd/', '!d/a', '*');
const change = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('write' as const), path: anyPath, text: contents }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove' as const), path: anyPath }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('folder' as const), path: anyPath }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('move' as const), path: anyPath, to: anyPath }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('link' as const), path: anyPath, text: contents }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('mode' as const), path: anyPath }) },
);

function apply(from: string, step: typeof change extends fc.Arbitrary<infer T> ? T : never): void {
  const at = join(from, step.path);
  try {
    if (step.kind === 'write') writeFileSync(at, step.text);
    else if (step.kind === 'remove') rmSync(at, { recursive: true, force: true });
    else if (step.kind === 'folder') mkdirSync(at, { recursive: true });
    else if (step.kind === 'move') renameSync(at, join(from, step.to));
    else if (step.kind === 'link') symlinkSync(step.text, at);
    else chmodSync(at, statSync(at).isDirectory() ? 0o750 : 0o640);
  } catch {
    // not possible where things stand
  }
}

test('whatever is changed, it is what a walk finds', async () => {
  const rounds = process.env['TEST_ROUNDS'] === 'all' ? 500 : 15;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(change, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 6 }), async (batches) => {
      const { from, live, compare } = tree();
      mkdirSync(join(from, 'a/b'), { recursive: true });
      writeFileSync(join(from, 'a/b/d'), 'one');
      await compare();
      for (const batch of batches) {
        for (const step of batch) apply(from, step);
        await compare();
      }
      live.close();
    }),
    { numRuns: rounds },
  );
});

test('edits, new files, ignored files and files that come and go take no walk; nothing changed gives the same tree', async () => {
  const { from, current, compare, walks, told } = tree();
  mkdirSync(join(from, 'a'));
  writeFileSync(join(from, 'a/train.py'), 'one');
  await compare();
  const before = await current();
  expect(await current()).toBe(before);
  writeFileSync(join(from, 'a/train.py'), 'two');
  writeFileSync(join(from, 'a/new.py'), 'new');
  writeFileSync(join(from, 'a/noise.out'), 'ignored');
  writeFileSync(join(from, 'a/.train.py.swp'), 'x');
  renameSync(join(from, 'a/.train.py.swp'), join(from, 'a/train.py'));
  rmSync(join(from, 'a/noise.out'));
  await compare();
  expect(walks()).toBe(1);
  expect(told()).toBeGreaterThan(0);
  rmSync(join(from, 'a/new.py'));
  await compare();
  expect(walks()).toBe(1);
});

test('a second change within the clock’s tick, of the same size and time, is a change', async () => {
  const { from, current } = tree();
  const file = join(from, 'a');
  writeFileSync(file, 'one');
  await current();
  const first = await current();
  writeFileSync(file, 'two');
  const second = await current();
  expect(second).not.toBe(first);
  writeFileSync(file, 'six');
  expect(await current()).not.toBe(second);
});

test('what is outside of the folders and decides what is wanted: the global ignore file, another folder in the place of this one', async () => {
  const outside = mkdtempSync(join(tmpdir(), 'gpu-run-live-'));
  folders.push(outside);
  const globalExcludes = join(outside, 'ignore');
  const { from, current, compare } = tree({ ignore: { exclude: [], globalExcludes } });
  writeFileSync(join(from, 'a'), 'a');
  await compare();
  writeFileSync(globalExcludes, 'a\n');
  await compare();
  expect([...(await current()).entries()]).toEqual([]);
  renameSync(from, join(outside, 'moved'));
  mkdirSync(from);
  writeFileSync(join(from, 'b'), 'b');
  await compare();
  expect(existsSync(join(outside, 'moved', 'a'))).toBe(true);
});

test('more changes at once than can be trusted: a walk', async () => {
  const { from, compare, walks } = tree();
  for (const name of ['a', 'b']) writeFileSync(join(from, name), name);
  await compare();
  // One and the same change again is told once.
  for (let n = 0; n < 5_000; n += 1) utimesSync(join(from, n % 2 === 0 ? 'a' : 'b'), n, n);
  await compare();
  expect(walks()).toBe(2);
  expect(readdirSync(from)).toEqual(['a', 'b']);
});
