/** Pushes over a connection that stays, both ends watching, do what pushes do that look at everything: held against such after every few changes. */
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { LiveSources } from '../../../remote-runner/sync-live.ts';
import { type WatchedTrees, watchTrees } from '../../../src/sync/live-trees.ts';
import { type PushTotals, prepareProject, pushPrepared, pushTree } from '../../../src/sync/push.ts';
import { readTree } from '../../support/tree.ts';
import { joinPeers, type Wire } from './joined.ts';

const over: (() => void)[] = [];
afterEach(() => {
  for (const end of over.splice(0).reverse()) end();
});

interface Side {
  readonly workdir: string;
  push(): Promise<PushTotals>;
}

function setUp(): { from: string; live: Side & { readonly trees: WatchedTrees; readonly wire: Wire }; plain: Side } {
  const root = mkdtempSync(join(tmpdir(), 'gpu-run-live-'));
  over.push(() => rmSync(root, { recursive: true, force: true }));
  const from = join(root, 'code');
  mkdirSync(from);
  const project = { code: from, exclude: [], data: [], globalExcludes: null, never: [] };
  const { signal } = new AbortController();
  const sources = new LiveSources();
  const trees = watchTrees(() => {});
  over.push(
    () => sources.close(),
    () => trees.close(),
  );
  const side = (name: string, more: object, live: WatchedTrees | null) => {
    const machine = { root: join(root, name), workdir: join(root, name, 'workdir'), ...more };
    const wire = joinPeers(machine);
    const options = { open: wire.open, cacheFolder: join(root, `${name}-cache`), machine: name, outputs: ['out'], live: live !== null };
    return { workdir: machine.workdir, wire, push: () => pushPrepared(prepareProject(project, options.cacheFolder, signal, live ?? undefined), options) };
  };
  return { from, live: { ...side('live', { live: sources }, trees), trees }, plain: side('plain', {}, null) };
}

const names = ['a', 'b', 'out', 'd'];
const anyPath = fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
const step = fc.record({
  on: fc.constantFrom('laptop', 'laptop', 'machine'),
  kind: fc.constantFrom('write', 'write', 'write', 'remove', 'folder', 'move', 'link', 'mode'),
  path: anyPath,
  other: anyPath,
  text: fc.constantFrom('one', 'two', 'three'),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function apply(folder: string, { kind, path, other, text }: Step): void {
  const at = join(folder, path);
  try {
    if (kind === 'write') writeFileSync(at, text);
    else if (kind === 'remove') rmSync(at, { recursive: true, force: true });
    else if (kind === 'folder') mkdirSync(at, { recursive: true });
    else if (kind === 'move') renameSync(at, join(folder, other));
    else if (kind === 'link') symlinkSync(text, at);
    else chmodSync(at, statSync(at).isDirectory() ? 0o750 : 0o640);
  } catch {
    // not possible where things stand
  }
}

test('whatever changes, here and there', async () => {
  const numRuns = process.env['TEST_ROUNDS'] === 'all' ? 300 : 10;
  const batches = fc.array(fc.array(step, { maxLength: 4 }), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(batches, async (all) => {
      const { from, live, plain } = setUp();
      mkdirSync(join(from, 'd'));
      writeFileSync(join(from, 'd/a'), 'one');
      for (const steps of [[], ...all]) {
        for (const each of steps) for (const folder of each.on === 'laptop' ? [from] : [live.workdir, plain.workdir]) apply(folder, each);
        const [kept, looked] = [await live.push(), await plain.push()];
        expect({ ...kept, ms: 0, sentBytes: 0, warnings: kept.warnings.length }).toEqual({ ...looked, ms: 0, sentBytes: 0, warnings: looked.warnings.length });
        expect(readTree(live.workdir)).toEqual(readTree(plain.workdir));
      }
    }),
    { numRuns },
  );
});

test('nothing changed, and nothing that was pushed: a few hundred bytes, and nothing is looked at', async () => {
  const { from, live } = setUp();
  for (let n = 0; n < 200; n += 1) writeFileSync(join(from, `file-${n}`), `${n}`);
  await live.push();
  writeFileSync(join(live.workdir, 'made-there.txt'), 'not ours');
  const { up, down } = live.wire.traffic;
  expect(await live.push()).toMatchObject({ unchanged: true, files: 200, sentBytes: 0 });
  expect(live.wire.traffic.up - up + live.wire.traffic.down - down).toBeLessThan(600);
});

test('what the machine changes between two pushes is seen at once', async () => {
  const { from, live } = setUp();
  writeFileSync(join(from, 'a'), 'one');
  await live.push();
  expect((await live.push()).unchanged).toBe(true);
  writeFileSync(join(live.workdir, 'a'), 'two'); // as long, within the clock's tick
  const third = await live.push();
  expect(third).toMatchObject({ unchanged: false, warnings: [expect.stringContaining('a was made or changed on the machine')] });
  expect((await live.push()).unchanged).toBe(true);
  rmSync(join(live.workdir, 'a'));
  expect((await live.push()).unchanged).toBe(false);
});

test('another connection pushes in between', async () => {
  const { from, live } = setUp();
  writeFileSync(join(from, 'a'), 'one');
  await live.push();
  const other = joinPeers({ root: join(live.workdir, '..'), workdir: live.workdir });
  const spec = { from, to: '', ignore: { exclude: [], globalExcludes: null }, never: [], others: [] };
  writeFileSync(join(from, 'b'), 'two');
  await pushTree(spec, { open: other.open, cacheFolder: join(live.workdir, '../../other-cache'), outputs: ['out'] });
  rmSync(join(from, 'b'));
  expect((await live.push()).unchanged).toBe(false);
  expect(Object.keys(readTree(live.workdir))).toEqual(['a']);
});
