/** A copy of a folder that is being written to holds what was there at one moment, group by group. */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { RunnerClient } from '../../../src/runner/client.ts';
import { placeSnapshot } from '../../../src/sync/place-snapshot.ts';
import { pullSnapshot } from '../../../src/sync/pull-snapshot.ts';
import { buildRunner, createMachine, type TestMachine } from '../../support/runner.ts';

let build: string;
let machine: TestMachine;
let client: RunnerClient;
let here: string;
let folder: string;
let copies: number;
beforeAll(async () => {
  build = mkdtempSync(join(tmpdir(), 'gpu-run-snapshot-'));
  machine = createMachine(buildRunner(build));
  client = await machine.connect();
});
afterAll(async () => {
  await machine[Symbol.asyncDispose]();
  rmSync(build, { recursive: true, force: true });
});
beforeEach(() => {
  here = mkdtempSync(join(build, 'here-'));
  folder = join(machine.workdir, 'out/ckpt');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  copies = 0;
});

const rounds = process.env['TEST_ROUNDS'] === 'all' ? 100 : 15;

/** `duringPull`: what the job does before the second call, which pulls, or the third, which lists again. */
async function copy(
  before: string | null = null,
  duringPull: (() => void) | null = null,
  moment: 2 | 3 = 3,
  complete: ReadonlyMap<string, number> | null = null,
) {
  let received = 0;
  let calls = 0;
  const open = (op: string, params: unknown) => {
    calls += 1;
    if (calls === moment) duringPull?.();
    return client.open(op, params);
  };
  const into = join(here, String(++copies));
  const outcome = await pullSnapshot({
    open,
    path: 'out/ckpt',
    into,
    before,
    aside: join(here, 'aside'),
    complete,
    signal: new AbortController().signal,
    onReceived: (bytes) => {
      received += bytes;
    },
  });
  return { ...outcome, into, received, files: contentOf(join(into, 'out/ckpt')) };
}

function contentOf(top: string, path = ''): Record<string, string> {
  if (!existsSync(join(top, path))) return {};
  return Object.assign(
    {},
    ...readdirSync(join(top, path), { withFileTypes: true }).map((entry) => {
      const below = path === '' ? entry.name : `${path}/${entry.name}`;
      return entry.isDirectory()
        ? contentOf(top, below)
        : { [below]: entry.isSymbolicLink() ? readlinkSync(join(top, below)) : readFileSync(join(top, below), 'utf8') };
    }),
  ) as Record<string, string>;
}

const write = (path: string, text: string) => {
  mkdirSync(join(folder, path, '..'), { recursive: true });
  // As a careful program does it: equal times and sizes would be a fault of the test, not of the copy.
  writeFileSync(join(folder, `${path}.tmp`), text);
  renameSync(join(folder, `${path}.tmp`), join(folder, path));
};

test('all of it, then only what is new; what was rotated away is gone', async () => {
  write('step-1/model', 'one');
  write('last.pt', 'first');
  const first = await copy();
  expect(first).toMatchObject({ isNew: true, isWhole: true, received: 8, files: { 'step-1/model': 'one', 'last.pt': 'first' } });
  write('step-2/model', 'three');
  rmSync(join(folder, 'step-1'), { recursive: true });
  const second = await copy(first.into);
  expect(second).toMatchObject({ isNew: true, isWhole: true, received: 5, files: { 'step-2/model': 'three', 'last.pt': 'first' } });
  expect(await copy(second.into)).toMatchObject({ isNew: false, isWhole: true, received: 0, files: second.files });
  expect(contentOf(join(first.into, 'out/ckpt'))).toEqual(first.files); // left as it was
});

test('a group that changed meanwhile is as it was before; the others are taken', async () => {
  write('a.json', 'a1');
  write('a.bin', 'a1');
  const first = await copy();
  write('a.json', 'a2!');
  write('b/model', 'b1');
  const second = await copy(first.into, () => write('a.bin', 'a2!!'));
  expect(second).toMatchObject({ isNew: true, isWhole: false, files: { 'a.json': 'a1', 'a.bin': 'a1', 'b/model': 'b1' } });
  expect(await copy(second.into)).toMatchObject({ isWhole: true, files: { 'a.json': 'a2!', 'a.bin': 'a2!!', 'b/model': 'b1' } });
});

test('nothing was there before: then nothing torn is there either', async () => {
  write('model', '1');
  expect(await copy(null, () => write('model', '22'))).toMatchObject({ isNew: false, isWhole: false, files: {} });
  rmSync(folder, { recursive: true });
  expect(await copy()).toMatchObject({ isNew: false, isWhole: true, files: {} });
});

test('what is being written, and logs, are left out; what a push placed is not', async () => {
  write('tmp-step-3/model', 'half');
  write('events.out.tfevents.1', 'log');
  write('model', 'whole');
  expect(await copy(null, () => write('events.out.tfevents.1', 'longer log'))).toMatchObject({ isWhole: true, files: { model: 'whole' } });
});

test('whatever changes at whatever moment: each group of a copy is one that was there', async () => {
  const names = ['a', 'b', 'g/x', 'g/y'];
  const versions: Record<string, Set<string>> = { '': new Set(['[]']), g: new Set(['[]']) };
  const groupOf = (files: Record<string, string>, group: string) =>
    JSON.stringify(
      Object.entries(files)
        .filter(([name]) => (name.startsWith('g/') ? 'g' : '') === group)
        .sort(),
    );
  const note = () => {
    const files = contentOf(folder);
    for (const group of ['', 'g']) versions[group]?.add(groupOf(files, group));
  };
  const some = (maxLength: number) => fc.array(fc.constantFrom(...names), { maxLength });
  let count = 0;
  let before: string | null = null;
  await fc.assert(
    fc.asyncProperty(some(3), some(2), fc.constantFrom(2 as const, 3 as const), async (now, during, moment) => {
      const change = (changed: readonly string[]) => {
        for (const name of changed) write(name, `${name} ${'x'.repeat(++count)}`);
        note();
      };
      change(now);
      const { files, into }: { files: Record<string, string>; into: string } = await copy(before, () => change(during), moment);
      for (const group of ['', 'g']) expect(versions[group]).toContain(groupOf(files, group));
      before = into;
    }),
    { numRuns: rounds },
  );
});

test('a job that thinks for a while between two files of a checkpoint: what nobody has called complete is not taken', async () => {
  const complete = new Map<string, number>();
  const tell = (path: string, newest = path) => complete.set(`out/ckpt${path}`, Math.floor(statSync(join(folder, newest)).mtimeMs));
  const copyTold = (before: string | null = null) => copy(before, null, 3, complete);
  write('step-1/model', 'one');
  write('step-1/optimizer', 'one');
  tell('/step-1', 'step-1/optimizer');
  write('step-2/model', 'two');
  write('other.pt', 'of another job');
  const first = await copyTold();
  expect(first).toMatchObject({ isNew: true, isWhole: true, changed: [], received: 6, files: { 'step-1/model': 'one', 'step-1/optimizer': 'one' } });
  expect(Object.keys(first.files)).toHaveLength(2);
  await new Promise((resolve) => setTimeout(resolve, 5)); // times are told in milliseconds
  write('step-1/model', 'one, and more');
  write('step-2/optimizer', 'two');
  tell('/step-2', 'step-2/optimizer');
  write('last.pt', 'two');
  tell('/last.pt');
  const second = await copyTold(first.into);
  expect(second.files).toEqual({ ...first.files, 'step-2/model': 'two', 'step-2/optimizer': 'two', 'last.pt': 'two', 'other.pt': 'of another job' });
  await new Promise((resolve) => setTimeout(resolve, 5));
  write('a.pt', 'a');
  expect(await copyTold(second.into)).toMatchObject({ isNew: false, isWhole: true, received: 0, files: second.files });
  tell('', 'a.pt');
  expect(await copyTold(second.into)).toMatchObject({ isNew: true, files: { ...second.files, 'a.pt': 'a' } });
});

test('a file that grows all the time beside a checkpoint: it is named, and the checkpoint does not travel again for it', async () => {
  write('last.pt', 'x'.repeat(1000));
  const grow = () => appendFileSync(join(folder, 'progress.txt'), 'a');
  grow();
  expect(await copy(null, grow)).toMatchObject({ isNew: false, isWhole: false, changed: ['out/ckpt/progress.txt'], received: 1001, files: {} });
  expect(await copy(null, grow)).toMatchObject({ isNew: false, received: 2 });
  write('last.pt', 'y'.repeat(2000));
  expect(await copy(null, grow)).toMatchObject({ isNew: false, received: 2003 });
  expect(await copy()).toMatchObject({ isNew: true, isWhole: true, received: 4, files: { 'last.pt': 'y'.repeat(2000), 'progress.txt': 'aaaa' } });
  expect(contentOf(join(here, 'aside/out'))).toEqual({});
});

test("a link that leads out, and what is git's own, is not taken, and keeps nothing from being taken later", async () => {
  write('step-1/model', 'one');
  write('step-1/.git/config', 'x');
  symlinkSync(join(folder, 'step-1'), join(folder, 'latest'));
  symlinkSync('step-1', join(folder, 'newest'));
  const first = await copy();
  expect(first).toMatchObject({ isNew: true, isWhole: true });
  expect(first.files).toEqual({ 'step-1/model': 'one', newest: 'step-1' });
  write('step-2/model', 'two');
  const second = await copy(first.into);
  expect(second.files).toEqual({ ...first.files, 'step-2/model': 'two' });
  // As an older gpu-run has left it.
  writeFileSync(join(second.into, 'marks.json'), readFileSync(join(second.into, 'marks.json'), 'utf8').replace('[[', '[["out/ckpt/latest","-> gone"],['));
  expect((await copy(second.into)).files).toEqual(second.files);
});

test('goes into the project whole, and over what is there', async () => {
  write('step-1/model', 'new');
  const { into } = await copy();
  const project = mkdtempSync(join(here, 'project-'));
  mkdirSync(join(project, 'out/ckpt/step-1'), { recursive: true });
  writeFileSync(join(project, 'out/ckpt/step-1/model'), 'older');
  await placeSnapshot(into, 'out/ckpt', project, new AbortController().signal);
  expect(contentOf(project)).toEqual({ 'out/ckpt/step-1/model': 'new' });
});
