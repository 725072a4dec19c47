/** A source that is walked again and again: what is held of it, and when that counts. */

import { createHash } from 'node:crypto';
import { chmodSync, linkSync, lstatSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PackedFolder, packFolder } from '../../../src/protocol/packed-folder.ts';
import { digestOf } from '../../../src/protocol/tree-digest.ts';
import { heldFile, isRacy, loadHeld, saveHeld } from '../../../src/sync/held.ts';
import type { ScanNotes } from '../../../src/sync/scan.ts';
import { lookOfStamp, pickFiles, readTree, type Tree } from '../../../src/sync/tree.ts';
import { temporaryFolder, writeTree } from '../../support/tree.ts';

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder('tree');
});
afterEach(() => folder.remove());

const source = () => join(folder.path, 'source');
const file = () => heldFile(join(folder.path, 'cache'), 'source');
const signal = new AbortController().signal;
const hash = (text: string) => createHash('sha256').update(text).digest();

async function read(notes: ScanNotes = { unreadable: [], warnings: [] }): Promise<Tree> {
  const held = loadHeld(file());
  const tree = await readTree({ from: source(), to: '', ignore: { exclude: [], globalExcludes: null }, never: [] }, held.folders, notes, signal);
  saveHeld(file(), held, tree.folders);
  return tree;
}

/** Files whose content may be believed: nothing in them changed just before they were read. */
function age(): void {
  const wait = Date.now() + 130;
  while (Date.now() < wait);
}

describe('a tree', () => {
  it('has the digest of its entries, each behind its parent', async () => {
    writeTree(source(), { 'b/x': 'four', a: 'a', 'b-c': '', l: { target: 'b/x' }, 'e/': null, 'b/deep/er': '1' });
    const tree = await read();
    const entries = [...tree.entries()];
    expect(entries.map(({ path }) => path)).toEqual(['a', 'b', 'b-c', 'e', 'l', 'b/deep', 'b/x', 'b/deep/er']);
    expect(tree).toMatchObject({ files: 4, bytes: 6, digest: digestOf(entries, hash) });
    expect(pickFiles(tree, [0, 6, 1, 99])).toEqual(
      new Map([
        [0, entries[0]],
        [6, entries[6]],
      ]),
    );
    expect(readFileSync(tree.absolute('b/deep/er'), 'utf8')).toBe('1');
  });

  it('is the same, and nothing is read or written, where nothing changed', async () => {
    writeTree(source(), { 'b/x': 'four', a: 'a', l: { target: 'b/x' } });
    age();
    const first = await read();
    const { ctimeMs, size } = lstatSync(file());
    const again = await read();
    expect(again.digest).toBe(first.digest);
    expect(again.folders.get('')?.buffer).not.toBe(first.folders.get('')?.buffer); // as it came from the file
    expect(lstatSync(file())).toMatchObject({ ctimeMs, size });
  });

  it('sees an edit that leaves size and time as they were, also right behind the reading', async () => {
    writeTree(source(), { a: 'one' });
    const digests = new Set<string>();
    for (const text of ['one', 'two', 'six', 'ten']) {
      writeFileSync(join(source(), 'a'), text);
      utimesSync(join(source(), 'a'), 1e9, 1e9);
      digests.add((await read()).digest);
    }
    expect(digests.size).toBe(4);
  });

  it.each(['', 'gpurunF1', '{"version":1}'])('does without what it held when that is damaged (%j)', async (text) => {
    writeTree(source(), { a: 'one' });
    const { digest } = await read();
    writeFileSync(file(), text);
    expect((await read()).digest).toBe(digest);
    expect(loadHeld(file()).folders.size).toBe(1);
    expect(readdirSync(join(folder.path, 'cache'))).toHaveLength(1);
  });
});

describe('a large file', () => {
  const large = 1_100_000;
  const write = (name: string, text: string) => {
    writeFileSync(join(source(), name), text.repeat(large / text.length));
    utimesSync(join(source(), name), 1e9, 1e9);
  };
  /** What is said of it instead of its hash, where that is what was held. */
  const plant = async () => {
    writeTree(source(), { 'd/other': '' });
    write('big', 'x');
    await read();
    const held = loadHeld(file());
    const rows = [...new PackedFolder(held.folders.get('')!).rows()].map((row) => (row.name === 'big' ? { ...row, sha256: 'b'.repeat(64) } : row));
    saveHeld(file(), held, new Map([...held.folders, ['', packFolder(rows, () => false, new Uint8Array(32))]]));
  };
  const hashOf = (tree: Tree, path: string) => [...tree.entries()].find((entry) => entry.path === path);

  it('that was moved is not read again, nor after that', async () => {
    await plant();
    renameSync(join(source(), 'big'), join(source(), 'd/moved'));
    for (const _ of ['once', 'twice']) expect(hashOf(await read(), 'd/moved')).toMatchObject({ sha256: 'b'.repeat(64) });
  });

  it('that was moved and written to is read', async () => {
    await plant();
    renameSync(join(source(), 'big'), join(source(), 'moved'));
    writeFileSync(join(source(), 'moved'), 'y'.repeat(large));
    expect(hashOf(await read(), 'moved')).not.toMatchObject({ sha256: 'b'.repeat(64) });
  });

  it('that has a second name, and was written to under the first and given its time back, is read', async () => {
    await plant();
    linkSync(join(source(), 'big'), join(source(), 'second'));
    write('big', 'y');
    expect(hashOf(await read(), 'second')).not.toMatchObject({ sha256: 'b'.repeat(64) });
  });

  it('that was written to in its place, and given its time back, is read', async () => {
    await plant();
    write('big', 'y');
    expect(hashOf(await read(), 'big')).not.toMatchObject({ sha256: 'b'.repeat(64) });
  });
});

it.each([
  ['long before', 5000.25, false],
  ['just before', 50.25, true],
  ['two seconds before, where whole seconds count', 1000, true],
  ['three seconds before, where whole seconds count', 3000, false],
])('a file that changed %s it was read: racy or not', (_, before, racy) => {
  const now = 1_700_000_000_000;
  expect(isRacy({ ino: 1, size: 1, mtimeMs: 0, ctimeMs: now - before, mode: 0 }, now)).toBe(racy);
});

it('the numbers of a stamp are those that lstat gives', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 4_000_000_000_000_000_000n }), (ns) => {
      const path = join(folder.path, 'probe');
      writeFileSync(path, 'x');
      utimesSync(path, 1, Number(ns / 1_000_000n) / 1000);
      const { ino, size, mtimeNs, ctimeNs } = lstatSync(path, { bigint: true });
      const { mtimeMs, ctimeMs } = lstatSync(path);
      expect(lookOfStamp(`${ino}:${size}:${mtimeNs}:${ctimeNs}`)).toEqual({ ino: Number(ino), size: 1, mtimeMs, ctimeMs });
    }),
  );
});

/** Any edits, with what is held from the walk before: the same tree as for somebody who looks for the first time. */
it('is what a first look would see, whatever was changed since the last one', async () => {
  const path = fc.constantFrom('a', 'b', 'd/a', 'd/b', 'd/e/c', 'f/.gitignore');
  const edit = fc.oneof(
    fc.record({ do: fc.constant('write' as const), path, text: fc.constantFrom('x', 'y', 'a', 'b', '') }),
    fc.record({ do: fc.constant('remove' as const), path: fc.constantFrom('a', 'd', 'd/e', 'f') }),
    fc.record({ do: fc.constant('rename' as const), path, to: path }),
    fc.record({ do: fc.constant('link' as const), path }),
    fc.record({ do: fc.constant('chmod' as const), path }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(edit, { maxLength: 4 }), { minLength: 1, maxLength: 4 }), async (rounds) => {
      rmSync(source(), { recursive: true, force: true });
      writeTree(source(), { a: 'x', 'd/a': 'y' });
      for (const edits of rounds) {
        for (const step of edits) {
          const place = join(source(), step.path);
          try {
            if (step.do === 'write') writeTree(source(), { [step.path]: step.text });
            else if (step.do === 'remove') rmSync(place, { recursive: true });
            else if (step.do === 'rename') renameSync(place, join(source(), step.to));
            else if (step.do === 'link') symlinkSync('a', place);
            else chmodSync(place, 0o600);
          } catch (error) {
            if (!(error instanceof Error && 'syscall' in error)) throw error;
          }
        }
        const tree = await read();
        const fresh = await readTree(
          { from: source(), to: '', ignore: { exclude: [], globalExcludes: null }, never: [] },
          new Map(),
          { unreadable: [], warnings: [] },
          signal,
        );
        expect([...tree.entries()]).toEqual([...fresh.entries()]);
        expect(tree).toMatchObject({ digest: fresh.digest, files: fresh.files, bytes: fresh.bytes });
      }
    }),
    { numRuns: process.env['TEST_ROUNDS'] === 'all' ? 500 : 30 }, // all of them in `npm run test:lab`
  );
});
