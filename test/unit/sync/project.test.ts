import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ProjectSpec, pushProject } from '../../../src/sync/push.ts';
import { readTree, writeTree } from '../../support/tree.ts';
import { joinPeers, type Lab, makeLab } from './joined.ts';

let lab: Lab;
beforeEach(() => {
  lab = makeLab('project');
});
afterEach(() => lab.remove());

async function push(project: Partial<ProjectSpec> = {}, outputs: string[] = []) {
  const progress: [number, number, string][] = [];
  const wire = joinPeers(lab.machine);
  const totals = await pushProject(
    { code: lab.source, exclude: [], data: [], globalExcludes: null, never: [], ...project },
    { open: wire.open, cacheFolder: lab.cacheFolder, outputs, onProgress: (...told) => progress.push(told) },
  );
  return { totals, progress, wire };
}

function pets(): string {
  const from = join(lab.path, 'pets');
  mkdirSync(from);
  writeTree(from, { 'cat.jpg': 'meow', 'dogs/rex.jpg': 'wuff' });
  return from;
}

describe('pushProject', () => {
  it('brings code and data, and adds them up', async () => {
    writeTree(lab.source, { 'train.py': 'print()', 'data/README': 'r' });
    const { totals, progress } = await push({ data: [{ from: pets(), to: './data/pets/' }] });
    expect(Object.keys(readTree(lab.machine.workdir))).toEqual([
      'data/',
      'data/README',
      'data/pets/',
      'data/pets/cat.jpg',
      'data/pets/dogs/',
      'data/pets/dogs/rex.jpg',
      'train.py',
    ]);
    expect(totals).toMatchObject({ files: 4, bytes: 16, sentBytes: 16, warnings: [] });
    expect(progress.filter(([done, total]) => done === total)).toEqual([
      [8, 8, ''],
      [8, 8, 'data/pets'],
    ]);
    expect((await push({ data: [{ from: join(lab.path, 'pets'), to: 'data/pets' }] })).totals.sentBytes).toBe(0);
  });

  it('clears its own code out of the way when data takes the place, and nothing of the machine', async () => {
    writeTree(lab.source, { 'train.py': 'p', 'data/pets/cat.jpg': 'old', 'data/pets/gone/x': 'x', 'data/pets/edited': 'e' });
    await push();
    writeTree(lab.machine.workdir, { 'data/pets/edited': 'changed there', 'data/pets/made': 'made there' });
    rmSync(join(lab.source, 'data'), { recursive: true });
    const data = [{ from: pets(), to: 'data/pets' }];
    expect((await push({ data })).totals.warnings).toEqual([]);
    expect(readTree(join(lab.machine.workdir, 'data/pets'))).toEqual({
      'cat.jpg': 'file 644 meow',
      'dogs/': 'dir 755',
      'dogs/rex.jpg': 'file 644 wuff',
      edited: 'file 644 changed there',
      made: 'file 644 made there',
    });
    expect((await push({ data })).wire.traffic.turns).toBe(4);
  });

  it('says how far it is, and never goes back', async () => {
    writeTree(lab.source, { a: 'a'.repeat(600_000), b: 'b'.repeat(300_000) });
    const { progress } = await push();
    expect(progress.map(([done]) => done)).toEqual([...progress.map(([done]) => done)].sort((a, b) => a - b));
    expect(progress[0]).toEqual([0, 900_000, '']);
    expect(progress.at(-1)).toEqual([900_000, 900_000, '']);
  });

  it.each([
    ['code inside a data target', { 'data/pets/x': '' }, 'data/pets'],
    ['a code file where a data target needs a folder', { data: '' }, 'data/pets'],
    ['a code link where a data target needs a folder', { data: { target: '/mnt' } }, 'data/pets'],
  ])('refuses %s, before anything is sent', async (_, tree, to) => {
    writeTree(lab.source, tree);
    writeFileSync(join(lab.source, 'train.py'), '');
    await expect(push({ data: [{ from: pets(), to }] })).rejects.toMatchObject({
      code: 'bad-input',
      hints: [expect.stringContaining('sync.exclude'), expect.anything()],
    });
    expect(readTree(lab.machine.workdir)).toEqual({});
    await push({ data: [{ from: join(lab.path, 'pets'), to }], exclude: ['/data'] });
  });

  it.each([[['data', 'data/pets']], [['a', 'a']], [['.']], [['../x']], [['/x']], [['']], [['x/../..']]])('refuses the targets %j', async (targets) => {
    const from = pets();
    await expect(push({ data: targets.map((to) => ({ from, to })) })).rejects.toMatchObject({ code: 'bad-input' });
  });

  it('refuses outputs outside the workdir', async () => {
    await expect(push({}, ['../runs'])).rejects.toMatchObject({ code: 'bad-input' });
  });

  it('sends nothing of the code when the data is missing', async () => {
    writeTree(lab.source, { a: 'a' });
    await expect(push({ data: [{ from: join(lab.path, 'nowhere'), to: 'data' }] })).rejects.toMatchObject({ code: 'bad-input' });
    expect(readTree(lab.machine.workdir)).toEqual({});
  });
});
