/** Large files: what changed travels, what came before a cut does not come again, and no name ever holds anything but a whole version. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { temporaryPrefix } from '../../../src/protocol/sync.ts';
import { noise } from '../../support/noise.ts';
import { writeTree } from '../../support/tree.ts';
import { beforeBlocks, joinPeers, type Lab, makeLab } from './joined.ts';

let lab: Lab;
beforeEach(() => {
  lab = makeLab('large');
});
afterEach(() => lab.remove());

const local = (path: string) => join(lab.source, path);
const remote = (path: string) => join(lab.machine.workdir, path);
const arrived = (path: string) => readFileSync(remote(path));
const leftovers = (folder = '') => readdirSync(remote(folder)).filter((name) => name.startsWith(temporaryPrefix));
const mega = 1024 * 1024;

/** Ten bytes in front, and a part in the middle is another one. */
function edited(bytes: Buffer, seed: number): Buffer {
  const middle = Math.floor(bytes.length / 2);
  return Buffer.concat([Buffer.from('ten bytes!'), bytes.subarray(0, middle), noise(50_000, seed), bytes.subarray(middle + 50_000)]);
}

async function pushCut(afterBytes: number): Promise<void> {
  await expect(lab.push({ wire: joinPeers(lab.machine, afterBytes) })).rejects.toMatchObject({ code: 'connection' });
}

describe('a large file', () => {
  it('costs little more than what changed in it', async () => {
    const before = noise(5 * mega, 1);
    writeFileSync(local('model'), before);
    expect((await lab.push()).sentBytes).toBe(before.length);
    writeFileSync(local('model'), edited(before, 2));
    const { sentBytes } = await lab.push();
    expect(sentBytes).toBeLessThan(50_000 + 4 * 240 * 1024);
    expect(arrived('model').equals(edited(before, 2))).toBe(true);
    expect((await lab.push()).turns).toBe(2);
  });

  it('is sent whole where this computer does not know the older version', async () => {
    const before = noise(5 * mega, 1);
    writeFileSync(local('model'), before);
    await lab.push();
    rmSync(join(lab.cacheFolder, 'chunks'), { recursive: true });
    writeFileSync(local('model'), edited(before, 2));
    expect((await lab.push()).sentBytes).toBeGreaterThan(5 * mega);
    expect(arrived('model').equals(edited(before, 2))).toBe(true);
  });

  it('is not made of what was changed on the machine in the meantime', async () => {
    const before = noise(5 * mega, 1);
    writeFileSync(local('model'), before);
    await lab.push();
    writeFileSync(local('model'), edited(before, 2));
    const wire = beforeBlocks(joinPeers(lab.machine), () => writeFileSync(remote('model'), 'theirs'));
    await expect(lab.push({ wire })).rejects.toMatchObject({ code: 'sync', message: expect.stringContaining('changed on the machine during the push') });
    await lab.push();
    expect(arrived('model').equals(edited(before, 2))).toBe(true);
  });

  it('goes on where a cut has left it', async () => {
    const bytes = noise(10 * mega, 3);
    writeTree(lab.source, { 'd/small': 'x' });
    writeFileSync(local('d/model'), bytes);
    await pushCut(7 * mega);
    expect(existsSync(remote('d/model'))).toBe(false);
    const { sentBytes } = await lab.push();
    expect(sentBytes).toBeLessThan(4 * mega);
    expect(arrived('d/model').equals(bytes)).toBe(true);
    expect(leftovers('d')).toEqual([]);
    expect(existsSync(join(lab.machine.root, 'sync', 'code.part'))).toBe(false);
  });

  it('begins anew when it became another one, and goes on where only its end did', async () => {
    const bytes = noise(6 * mega, 4);
    writeFileSync(local('model'), bytes);
    await pushCut(4 * mega);
    writeFileSync(local('model'), edited(bytes, 5));
    expect((await lab.push()).sentBytes).toBeGreaterThan(6 * mega);
    expect(arrived('model').equals(edited(bytes, 5))).toBe(true);
    writeFileSync(local('other'), bytes);
    await pushCut(4 * mega);
    const grown = Buffer.concat([bytes, noise(mega, 6)]);
    writeFileSync(local('other'), grown);
    expect((await lab.push()).sentBytes).toBeLessThan(4 * mega);
    expect(arrived('other').equals(grown)).toBe(true);
  });

  it('leaves nothing of it when it is gone before the next push', async () => {
    writeFileSync(local('model'), noise(6 * mega, 4));
    await pushCut(4 * mega);
    expect(leftovers()).toHaveLength(1);
    writeTree(lab.source, { 'only-this': 'x' });
    rmSync(local('model'));
    await lab.push();
    expect(readdirSync(lab.machine.workdir)).toEqual(['only-this']);
  });

  it('is not made of a damaged beginning', async () => {
    const bytes = noise(6 * mega, 7);
    writeFileSync(local('model'), bytes);
    await pushCut(4 * mega);
    const part = remote(leftovers()[0] as string);
    const damaged = readFileSync(part);
    damaged[2 * mega] = (damaged[2 * mega] as number) ^ 1;
    writeFileSync(part, damaged);
    await lab.push();
    expect(arrived('model').equals(bytes)).toBe(true);
  });

  it('is the old version or the new one at any moment, and the new one in the end, however it changes and wherever it is cut', async () => {
    const edit = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), out: fc.nat(300_000), into: fc.nat(300_000), seed: fc.nat(999) });
    const step = fc.record({ edits: fc.array(edit, { maxLength: 3 }), cuts: fc.array(fc.integer({ min: 100, max: 6 * mega }), { maxLength: 2 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 3 }), async (steps) => {
        const own = makeLab('large-model');
        const place = join(own.machine.workdir, 'model');
        const there = () => (existsSync(place) ? readFileSync(place) : null);
        try {
          let bytes = noise(5 * mega, 11);
          let before: Buffer | null = null;
          for (const { edits, cuts } of [{ edits: [], cuts: [3 * mega] }, ...steps]) {
            for (const { at, out, into, seed } of edits) {
              const from = Math.floor(at * bytes.length);
              bytes = Buffer.concat([bytes.subarray(0, from), noise(into, seed), bytes.subarray(from + out)]);
            }
            writeFileSync(join(own.source, 'model'), bytes);
            for (const cut of cuts) {
              await own.push({ wire: joinPeers(own.machine, cut) }).catch(() => {});
              const now = there();
              expect(now === null ? before === null : now.equals(bytes) || (before !== null && now.equals(before))).toBe(true);
            }
            await own.push();
            expect(there()?.equals(bytes)).toBe(true);
            expect(readdirSync(own.machine.workdir)).toEqual(['model']);
            before = bytes;
          }
        } finally {
          own.remove();
        }
      }),
      { numRuns: process.env['TEST_ROUNDS'] === 'all' ? 40 : 2 },
    );
  });
});
