/** What the machine has already is not sent again, and what it only seems to have is. */
import { createHash } from 'node:crypto';
import { chmodSync, cpSync, lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readTree, writeTree } from '../../support/tree.ts';
import { joinPeers, type Lab, makeLab } from './joined.ts';

let lab: Lab;
beforeEach(() => {
  lab = makeLab('reuse');
});
afterEach(() => lab.remove());

const target = () => readTree(lab.machine.workdir);
const source = () => readTree(lab.source);
const remote = (path: string) => join(lab.machine.workdir, path);
const local = (path: string) => join(lab.source, path);

async function expectFree(): Promise<void> {
  expect(await lab.push()).toMatchObject({ sentBytes: 0, warnings: [] });
  expect(target()).toEqual(source());
  expect((await lab.push()).turns).toBe(2);
}

describe('what the machine has already', () => {
  it('is renamed when it was renamed: the same file on its disk', async () => {
    writeTree(lab.source, { 'd/big': 'x'.repeat(100_000), stays: 's' });
    await lab.push();
    const { ino } = lstatSync(remote('d/big'));
    mkdirSync(local('new'));
    renameSync(local('d/big'), local('new/name'));
    chmodSync(local('new/name'), 0o600);
    await expectFree();
    expect(lstatSync(remote('new/name')).ino).toBe(ino);
  });

  it('moves with its folder', async () => {
    writeTree(lab.source, { 'd/a': 'a', 'd/deep/b': 'b', 'd/deep/er/c': 'c', 'd/empty': '' });
    await lab.push();
    renameSync(local('d'), local('e'));
    await expectFree();
  });

  it('is copied when it was copied, also to several places while it goes', async () => {
    writeTree(lab.source, { a: 'content' });
    await lab.push();
    cpSync(local('a'), local('b'));
    await expectFree();
    cpSync(local('a'), local('c'));
    cpSync(local('a'), local('d'));
    rmSync(local('a'));
    rmSync(local('b'));
    await expectFree();
  });

  it('changes places', async () => {
    writeTree(lab.source, { a: 'was a', b: 'was b', c: 'was c' });
    await lab.push();
    for (const [from, to] of [
      ['a', 't'],
      ['b', 'a'],
      ['c', 'b'],
      ['t', 'c'],
    ] as const)
      renameSync(local(from), local(to));
    await expectFree();
  });

  it('comes back in the place of a folder, and a folder in its place', async () => {
    writeTree(lab.source, { 'd/in': 'inside', f: 'flat' });
    await lab.push();
    renameSync(local('d/in'), local('t'));
    rmSync(local('d'), { recursive: true });
    renameSync(local('t'), local('d'));
    renameSync(local('f'), local('t'));
    mkdirSync(local('f'));
    renameSync(local('t'), local('f/in'));
    await expectFree();
  });

  it('counts whichever source brought it', async () => {
    const data = join(lab.path, 'pets');
    const meow = 'meow'.repeat(20_000);
    writeTree(data, { 'cat.jpg': meow });
    await lab.push({ from: data, to: 'data' });
    writeTree(lab.source, { 'tests/cat.jpg': meow });
    expect((await lab.push({ others: ['data'] })).sentBytes).toBe(0);
    expect(readFileSync(remote('tests/cat.jpg'), 'utf8')).toBe(meow);
    expect(readFileSync(remote('data/cat.jpg'), 'utf8')).toBe(meow);
  });

  it('is opened up where it lies in a read-only folder', async () => {
    writeTree(lab.source, { 'ro/a': 'content', 'ro/': { mode: 0o555 } });
    await lab.push();
    chmodSync(local('ro'), 0o755);
    renameSync(local('ro/a'), local('ro/b'));
    chmodSync(local('ro'), 0o555);
    await expectFree();
  });

  it('is not taken for it when it was changed there, looks the same or not', async () => {
    writeTree(lab.source, { a: 'mine', b: 'also' });
    await lab.push();
    writeFileSync(remote('a'), 'hers');
    rmSync(remote('b'));
    symlinkSync(local('b'), remote('b'));
    renameSync(local('a'), local('c'));
    renameSync(local('b'), local('d'));
    const { sentBytes, warnings } = await lab.push();
    expect(sentBytes).toBe(8);
    expect(warnings).toHaveLength(2);
    expect(target()).toEqual(source());
  });

  it('is not looked for behind a link', async () => {
    writeTree(lab.source, { 'd/a': 'secret' });
    await lab.push();
    const outside = join(lab.path, 'outside');
    renameSync(remote('d'), outside);
    symlinkSync(outside, remote('d'));
    cpSync(local('d/a'), local('copy'));
    await lab.push();
    expect(target()).toEqual(source());
    expect(readTree(outside)).toEqual({ a: 'file 644 secret' });
  });

  it('is not sent again either when the connection was cut while it was on its way to its new place', async () => {
    writeTree(lab.source, { 'd/big': 'x'.repeat(50_000) });
    await lab.push();
    renameSync(local('d'), local('e'));
    const whole = joinPeers(lab.machine);
    const manifestSent = 900; // bytes: more than the manifest, less than all
    await lab.push({ wire: joinPeers(lab.machine, manifestSent) }).catch((error: { code?: string }) => expect(error.code).toBe('connection'));
    await lab.push({ wire: whole });
    expect(whole.traffic.up).toBeLessThan(3_000);
    expect(target()).toEqual(source());
    expect(readdirSync(lab.machine.workdir)).toEqual(['e']);
  });

  it('what was put by and damaged then is sent', async () => {
    writeTree(lab.source, { a: 'good' });
    await lab.push();
    rmSync(remote('a'));
    writeTree(lab.machine.workdir, { [`.gpu-run-tmp-code.d/4-${createHash('sha256').update('good').digest('hex')}-0`]: 'evil' });
    expect((await lab.push()).sentBytes).toBe(4);
    expect(target()).toEqual(source());
  });
});

/** Contents are told apart by their length, so that the bytes that travel tell which did. */
it('sends each content at most once that an earlier push has brought, whatever is moved where', async () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd/a', 'd/b', 'e/f/a');
  const layout = fc.dictionary(name, fc.integer({ min: 1, max: 6 }), { maxKeys: 6 });
  await fc.assert(
    fc.asyncProperty(layout, layout, fc.option(fc.nat(4_000)), async (before, after, cutAt) => {
      const own = makeLab('reuse');
      const lay = (wanted: Record<string, number>) => {
        for (const entry of readdirSync(own.source)) rmSync(join(own.source, entry), { recursive: true });
        writeTree(own.source, Object.fromEntries(Object.entries(wanted).map(([path, length]) => [path, 'x'.repeat(length)])));
      };
      try {
        lay(before);
        await own.push();
        lay(after);
        if (cutAt !== null) await own.push({ wire: joinPeers(own.machine, cutAt) }).catch((error: { code?: string }) => expect(error.code).toBe('connection'));
        const known = new Set(Object.values(before));
        const fresh = Object.values(after).filter((length) => !known.has(length));
        const { sentBytes } = await own.push();
        if (cutAt === null) expect(sentBytes).toBe(fresh.reduce((sum, length) => sum + length, 0));
        else expect(sentBytes).toBeLessThanOrEqual(fresh.reduce((sum, length) => sum + length, 0));
        expect(readTree(own.machine.workdir)).toEqual(readTree(own.source));
        expect((await own.push()).turns).toBe(2);
      } finally {
        own.remove();
      }
    }),
    { numRuns: process.env['TEST_ROUNDS'] === 'all' ? 300 : 15 }, // all of them in `npm run test:lab`
  );
});
