/** A machine that has what it was left with is told what changed and nothing else. */

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadState } from '../../../remote-runner/sync-state.ts';
import type { Entry, FolderChange } from '../../../src/protocol/sync.ts';
import { digestOf } from '../../../src/protocol/tree-digest.ts';
import { readTree, writeTree } from '../../support/tree.ts';
import { joinPeers, type Lab, makeLab } from './joined.ts';

let lab: Lab;
beforeEach(() => {
  lab = makeLab('changes');
});
afterEach(() => lab.remove());

const target = () => readTree(lab.machine.workdir);
const source = () => readTree(lab.source);
const remote = (path: string) => join(lab.machine.workdir, path);
const local = (path: string) => join(lab.source, path);
const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, at) => [`d${at % 12}/file-${at}`, `text ${at}`]));

/** Bytes to the machine. */
async function pushed(options: Parameters<Lab['push']>[0] = {}): Promise<number> {
  const wire = joinPeers(lab.machine);
  await lab.push({ ...options, wire });
  return wire.traffic.up;
}

describe('a push of what changed', () => {
  beforeEach(async () => {
    writeTree(lab.source, many(120));
    await lab.push();
  });

  it('says an edit, a new file, a removal and a rename, and not the others', async () => {
    writeFileSync(local('d3/file-3'), 'edited');
    writeTree(lab.source, { 'new/deep/x': 'x', 'd4/l': { target: 'file-4' } });
    rmSync(local('d5'), { recursive: true });
    renameSync(local('d6/file-6'), local('d7/renamed'));
    expect(await pushed()).toBeLessThan(6_000);
    expect(target()).toEqual(source());
    expect((await lab.push()).turns).toBe(2);
  });

  it('changes kinds, with all that was below', async () => {
    rmSync(local('d1'), { recursive: true });
    writeFileSync(local('d1'), 'a file now');
    rmSync(local('d2'), { recursive: true });
    symlinkSync('d3', local('d2'));
    rmSync(local('d8/file-8'));
    writeTree(lab.source, { 'd8/file-8/in/side': 'y' });
    for (const name of readdirSync(local('d9'))) rmSync(join(local('d9'), name));
    expect(await pushed()).toBeLessThan(6_000);
    expect(target()).toEqual(source());
    expect((await lab.push()).turns).toBe(2);
  });

  it('gives folders in which something changed their time', async () => {
    const before = readFileSync(local('d3/file-3'));
    writeFileSync(local('d3/file-3'), `${before} more`);
    await lab.push();
    const times = (top: string) => ['d3', 'd4'].map((name) => Math.floor(statSync(join(top, name)).mtimeMs));
    expect(times(lab.machine.workdir)).toEqual(times(lab.source));
  });

  it.each(['changed', 'removed', 'made a folder of'])('says it all where the machine has %s something', async (how) => {
    if (how !== 'changed') rmSync(remote('d3/file-3'));
    if (how === 'changed') writeFileSync(remote('d3/file-3'), 'theirs');
    if (how === 'made a folder of') mkdirSync(remote('d3/file-3'));
    writeFileSync(local('d4/file-4'), 'edited');
    expect(await pushed()).toBeGreaterThan(15_000);
    expect(target()).toEqual(source());
    writeFileSync(local('d4/file-4'), 'again');
    expect(await pushed()).toBeLessThan(3_000);
  });

  it('says it all where somebody else has pushed something else in between', async () => {
    writeFileSync(local('d4/file-4'), 'theirs');
    await lab.push({ isStranger: true });
    writeFileSync(local('d4/file-4'), 'mine');
    expect(await pushed()).toBeGreaterThan(15_000);
    expect(target()).toEqual(source());
  });

  it('goes on by changes after a push that was cut', async () => {
    writeFileSync(local('d4/file-4'), 'x'.repeat(200_000));
    await expect(lab.push({ wire: joinPeers(lab.machine, 100_000) })).rejects.toMatchObject({ code: 'connection' });
    await lab.push();
    expect(target()).toEqual(source());
    writeFileSync(local('d4/file-4'), 'short');
    expect(await pushed()).toBeLessThan(3_000);
    expect(target()).toEqual(source());
  });

  it('tells a damaged memory of the machine by what comes out', async () => {
    for (const name of readdirSync(lab.cacheFolder).filter((each) => each.endsWith('.base'))) {
      const path = join(lab.cacheFolder, name);
      writeFileSync(path, readFileSync(path, 'utf8').replace(/"d4","[0-9a-f]{4}/, '"d4","0000'));
    }
    writeFileSync(local('d3/file-3'), 'edited');
    await lab.push();
    expect(target()).toEqual(source());
  });
});

const sha256 = (text: string) => createHash('sha256').update(text).digest();
const file = (path: string) => ({ kind: 'file' as const, path, mode: 0o644, mtime: 0, size: 1, sha256: createHash('sha256').update('x').digest('hex') });

describe('changes that lie', () => {
  const change = (given: Partial<FolderChange>): FolderChange => ({ path: '', whole: false, set: [], gone: [], ...given });

  /** Says them on top of what was pushed, and that they lead to `after`. */
  async function say(changes: readonly object[], after: readonly Entry[]): Promise<unknown> {
    writeTree(lab.source, { a: 'a', 'd/b': 'b' });
    await lab.push();
    const base = loadState(join(lab.machine.root, 'sync', 'code.state')).digest;
    const wire = joinPeers(lab.machine);
    const call = wire.open('push', { source: 'code', digest: digestOf(after, sha256), base, others: [], outputs: [] });
    await call.event({ type: 'changes', changes });
    await call.event({ type: 'changes-end' });
    const parts = call.parts()[Symbol.asyncIterator]();
    const ask = parts.next().then(({ value }) => (value?.kind === 'event' ? value.value : null));
    const end = call.result.catch((error: unknown) => error);
    const first = await Promise.race([ask.catch(() => end), end]);
    call.cancel();
    await wire.idle();
    return first;
  }

  it.each([
    ['a way out', [change({ set: [{ ...file('../x') }] })]],
    ['entries of another folder', [change({ path: 'd', set: [file('x')] })]],
    ['a removal elsewhere', [change({ gone: ['d/b'] })]],
    ['a folder twice', [change({}), change({})]],
    ['a path twice', [change({ set: [file('x'), file('x')] })]],
    ['changes in a file', [change({ path: 'a', set: [file('a/x')] })]],
    ['changes in nothing', [change({ path: 'no/where', set: [file('no/where/x')] })]],
    ["changes in what took a folder's place", [change({ set: [file('d')] }), change({ path: 'd', set: [file('d/x')] })]],
    ['no list', [{ path: '', whole: false, set: null, gone: [] }]],
  ])('with %s are refused', async (_, changes) => {
    expect(await say(changes, [])).toMatchObject({ code: 'protocol' });
    expect(Object.keys(target())).toEqual(['a', 'd/', 'd/b']);
  });

  it('and lead elsewhere than was said change nothing: the whole manifest is asked for', async () => {
    expect(await say([change({ set: [file('x')], gone: ['a', 'd'] })], [file('other')])).toMatchObject({ type: 'manifest' });
    expect(Object.keys(target())).toEqual(['a', 'd/', 'd/b']);
    expect(existsSync(remote('x'))).toBe(false);
  });
});

/** Whatever is edited here and there, with a machine that remembers and one that does not, in any order. What the machine writes is never what is wanted: that would be its own, and stay. */
it('ends as a push of the whole manifest would', async () => {
  const path = fc.constantFrom('a', 'b', 'd/a', 'd/b', 'd/e/c', 'f/g/h');
  const edit = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('write' as const), path, text: fc.constantFrom('x', 'yy', '') }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('remove' as const), path: fc.constantFrom('a', 'd', 'd/e', 'f', 'f/g') }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('rename' as const), path, to: path }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('there' as const), path, text: fc.constantFrom('their own', 'zz') }) },
  );
  const round = fc.record({ edits: fc.array(edit, { maxLength: 5 }), isStranger: fc.boolean(), cutAt: fc.option(fc.nat(3_000)) });
  await fc.assert(
    fc.asyncProperty(fc.array(round, { minLength: 1, maxLength: 4 }), async (rounds) => {
      const own = makeLab('changes');
      try {
        writeTree(own.source, { a: 'x', 'd/e/c': 'yy' });
        await own.push();
        for (const { edits, isStranger, cutAt } of rounds) {
          for (const step of edits) {
            try {
              if (step.do === 'write') writeTree(own.source, { [step.path]: step.text });
              else if (step.do === 'remove') rmSync(join(own.source, step.path), { recursive: true });
              else if (step.do === 'rename') renameSync(join(own.source, step.path), join(own.source, step.to));
              else if (existsSync(join(own.machine.workdir, step.path))) writeFileSync(join(own.machine.workdir, step.path), step.text);
            } catch (error) {
              if (!(error instanceof Error && 'syscall' in error)) throw error;
            }
          }
          if (cutAt !== null) await own.push({ isStranger, wire: joinPeers(own.machine, cutAt) }).catch(() => {});
          await own.push({ isStranger });
          expect(readTree(own.machine.workdir)).toEqual(readTree(own.source));
        }
        expect((await own.push()).turns).toBe(2);
      } finally {
        own.remove();
      }
    }),
    { numRuns: process.env['TEST_ROUNDS'] === 'all' ? 400 : 20 }, // all of them in `npm run test:lab`
  );
});
