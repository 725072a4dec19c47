import { execFileSync } from 'node:child_process';
import { rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { previewProject, type SourcePreview } from '../../../src/sync/dry-run.ts';
import { scan } from '../../../src/sync/scan.ts';
import { listSkipped, type SkipReason } from '../../../src/sync/skipped.ts';
import { readTree, type Tree, writeTree } from '../../support/tree.ts';
import { joinPeers, type Lab, makeLab } from './joined.ts';

let lab: Lab;
beforeEach(() => {
  lab = makeLab('dry-run');
});
afterEach(() => lab.remove());

const signal = new AbortController().signal;

async function preview(
  options: { first?: boolean; outputs?: string[]; exclude?: string[]; data?: { from: string; to: string }[] } = {},
): Promise<readonly SourcePreview[]> {
  const project = { code: lab.source, exclude: options.exclude ?? [], data: options.data ?? [], globalExcludes: null, never: [] };
  const open = options.first === true ? null : joinPeers(lab.machine).open;
  return await previewProject(project, { open, cacheFolder: lab.cacheFolder, outputs: options.outputs ?? [], signal });
}

const shortly = ({ planned, gone }: SourcePreview) => [...planned, ...gone].map(({ path, how }) => `${how} ${path}`);

describe('previewProject', () => {
  it('says what a push would do, and does nothing', async () => {
    writeTree(lab.source, { same: 'a', edited: 'a', dropped: 'a', 'd/dropped-and-changed': 'a', changed: 'a', timed: 'a' });
    await lab.push();
    writeTree(lab.source, { edited: 'b', 'new/file': 'c', changed: 'b' });
    for (const path of ['dropped', 'd']) rmSync(join(lab.source, path), { recursive: true });
    utimesSync(join(lab.source, 'timed'), 1e9, 1e9);
    writeFileSync(join(lab.machine.workdir, 'changed'), 'by a job');
    writeFileSync(join(lab.machine.workdir, 'd/dropped-and-changed'), 'by a job');
    const before = readTree(lab.machine.root);
    const [code] = await preview();
    expect(code && shortly(code).sort()).toEqual(
      ['aside d/dropped-and-changed', 'changed edited', 'delete d', 'delete dropped', 'new new', 'new new/file', 'theirs changed', 'touch timed'].sort(),
    );
    expect(readTree(lab.machine.root)).toEqual(before);
  });

  it('has nothing to say of what is there already, whoever asks first', async () => {
    writeTree(lab.source, { a: 'a', 'd/b': 'b' });
    await lab.push();
    expect(await preview()).toEqual([expect.objectContaining({ source: 'code', files: 2, bytes: 2, planned: [], gone: [] })]);
  });

  it('a folder in which the machine has made something stays', async () => {
    writeTree(lab.source, { 'd/e/a': 'a', 'f/a': 'a' });
    await lab.push();
    for (const path of ['d', 'f']) rmSync(join(lab.source, path), { recursive: true });
    writeFileSync(join(lab.machine.workdir, 'd/made-there'), 'by a job');
    const [code] = await preview();
    expect(code && shortly(code)).toEqual(['delete d/e', 'delete d/e/a', 'delete f', 'delete f/a']);
    await lab.push();
    expect(Object.keys(readTree(lab.machine.workdir))).toEqual(['d/', 'd/made-there']);
  });

  it('says what the machine has under another name, and needs not be sent', async () => {
    writeTree(lab.source, { a: 'moved', b: 'copied' });
    await lab.push();
    rmSync(join(lab.source, 'a'));
    writeTree(lab.source, { 'd/a': 'moved', c: 'copied', e: 'new' });
    const [code] = await preview();
    expect(code?.planned.map(({ path, how, reused }) => `${how} ${path} ${reused}`)).toEqual(['new c true', 'new d false', 'new d/a true', 'new e false']);
    expect((await lab.push()).sentBytes).toBe(3);
  });

  it('leaves outputs of the machine alone', async () => {
    writeTree(lab.source, { 'runs/model': 'a' });
    await lab.push({ outputs: ['runs'] });
    writeFileSync(join(lab.machine.workdir, 'runs/model'), 'trained');
    writeFileSync(join(lab.source, 'runs/model'), 'edited');
    const [code] = await preview({ outputs: ['runs'] });
    expect(code && shortly(code)).toEqual(['leave runs/model']);
  });

  it('without a machine all of it, code and data, would be sent; no file is read', async () => {
    writeTree(lab.path, { 'pets/cat': 'meow', 'pets/.gitignore': '*' });
    writeTree(lab.source, { a: 'a', '.gitignore': 'b', b: '' });
    const previews = await preview({ first: true, data: [{ from: join(lab.path, 'pets'), to: 'data/pets' }] });
    expect(previews.map(({ source, planned }) => [source, planned.map(({ path, bytes }) => `${path} ${bytes}`)])).toEqual([
      ['code', ['.gitignore 1', 'a 1']],
      ['data/pets', ['data/pets 0', 'data/pets/.gitignore 1', 'data/pets/cat 4']],
    ]);
  });

  it('on a machine where nothing was ever pushed', async () => {
    rmSync(lab.machine.root, { recursive: true });
    writeTree(lab.source, { a: 'a' });
    const [code] = await preview();
    expect(code && shortly(code)).toEqual(['new a']);
  });

  it('what it says is what the push then does', async () => {
    const name = fc.constantFrom('a', 'b', 'c/a', 'c/b', 'd');
    const edit = fc.record({ path: name, text: fc.option(fc.constantFrom('x', 'yy', 'zz')), where: fc.constantFrom('here', 'here', 'there') });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(edit, { maxLength: 4 }), { minLength: 1, maxLength: 4 }), async (rounds) => {
        const round = makeLab('dry-run-random');
        lab.remove();
        lab = round;
        for (const edits of rounds) {
          for (const { path, text, where } of edits) {
            const top = where === 'here' ? lab.source : lab.machine.workdir;
            if (text === null) rmSync(join(top, path), { force: true });
            else writeTree(top, { [path]: text });
          }
          const [code] = await preview();
          const before = readTree(lab.machine.workdir);
          const { sentBytes } = await lab.push();
          const after = readTree(lab.machine.workdir);
          const plannedBytes = code?.planned.filter(({ how, reused }) => how !== 'touch' && !reused).reduce((sum, { bytes }) => sum + bytes, 0);
          expect(plannedBytes).toBe(sentBytes);
          const vanished = Object.keys(before).filter((path) => after[path] === undefined);
          expect(code?.gone.map(({ path }) => path)).toEqual(vanished.map((path) => path.replace(/\/$/, '')).sort());
        }
      }),
      { numRuns: process.env['TEST_ROUNDS'] === 'all' ? 300 : 10 }, // all of them in `npm run test:lab`,
    );
  });
});

describe('listSkipped', () => {
  const options = (exclude: string[] = []) => ({
    from: lab.source,
    to: '',
    ignore: { exclude, globalExcludes: join(lab.path, 'global') },
    never: [join(lab.source, 'state')],
  });
  const short = (reason: SkipReason) =>
    reason.kind === 'built-in'
      ? reason.text
      : `${reason.file === null ? 'exclude' : reason.file.replace(`${lab.path}/`, '')}:${reason.line}: ${reason.pattern}`;
  const list = async (exclude: string[] = []) =>
    (await listSkipped(options(exclude), signal)).map(({ path, kind, files, bytes, reason }) => [`${path} ${kind} ${files} ${bytes}`, short(reason)]);

  it('names the line of the file that leaves something out', async () => {
    writeTree(lab.path, { global: '\n*.swp\n' });
    writeTree(lab.source, {
      '.gitignore': '# packages\nnode_modules/\n*.log\r\n!keep.log\n',
      '.gpurunignore': '/notes ü*\n',
      'node_modules/a/b': 'four',
      'node_modules/c': 'four',
      'x.log': '1',
      'keep.log': '1',
      'notes über': '22',
      'sub/.gitignore': 'deep',
      'sub/deep': { target: 'x' },
      'sub/a.swp': '',
      'state/key': 'k',
      'tmp.big': '333',
    });
    execFileSync('git', ['init', '-q', lab.source]);
    rmSync(join(lab.source, '.git'), { recursive: true });
    writeTree(lab.source, { '.git/HEAD': 'ref' });
    expect(await list(['no', '*.big'])).toEqual([
      ['.git folder 1 3', "git's own records are never sent"],
      ['node_modules folder 2 8', 'source/.gitignore:2: node_modules/'],
      ['notes über file 1 2', 'source/.gpurunignore:1: /notes ü*'],
      ['state folder 1 1', "gpu-run's own state, with its keys, is never sent"],
      ['sub/a.swp file 1 0', 'global:2: *.swp'],
      ['sub/deep link 1 0', 'source/sub/.gitignore:1: deep'],
      ['tmp.big file 1 3', 'exclude:2: *.big'],
      ['x.log file 1 1', 'source/.gitignore:3: *.log'],
    ]);
  });

  it('in an ignored folder of which git tracks something, the rest is left out by what ignores the folder', async () => {
    execFileSync('git', ['init', '-q', lab.source]);
    writeTree(lab.source, { '.gitignore': 'out/\n', 'out/kept': 'k', 'out/other': 'oo', 'out/sub/x': 'x' });
    execFileSync('git', ['-C', lab.source, 'add', '-f', 'out/kept']);
    expect((await list()).filter(([path]) => path?.startsWith('out'))).toEqual([
      ['out/other file 1 2', 'source/.gitignore:1: out/'],
      ['out/sub folder 1 1', 'source/.gitignore:1: out/'],
    ]);
  });

  it('with what the scan takes it is all that is there, and each has a line that holds its pattern', async () => {
    const name = fc.constantFrom('a', 'b', 'c');
    const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
    const pattern = fc.constantFrom('a', '/b', 'c/', '!a', 'a/b', '*', '!*/', '# a', '', '**/c', '!/b', 'b/*');
    const lines = fc.array(pattern, { maxLength: 4 }).map((all) => all.join('\n'));
    await fc.assert(
      fc.asyncProperty(
        fc.array(path, { maxLength: 8 }),
        fc.dictionary(fc.constantFrom('', 'a/', 'b/', 'a/b/'), lines),
        fc.array(pattern, { maxLength: 2 }),
        async (paths, ignores, exclude) => {
          rmSync(lab.source, { recursive: true, force: true });
          const tree: Record<string, Tree[string]> = { '.keep': '' };
          for (const each of paths) tree[`${each}/file`] = each;
          for (const [folder, text] of Object.entries(ignores)) tree[`${folder}.gitignore`] = text;
          writeTree(lab.source, tree);
          const taken = scan({ ...options(exclude) }).found.map((found) => found.path);
          const skipped = await listSkipped(options(exclude), signal);
          const below = (top: string, at: string) => at === top || at.startsWith(`${top}/`);
          const all = Object.keys(readTree(lab.source)).map((each) => each.replace(/\/$/, ''));
          for (const each of all) expect([each, taken.includes(each) !== skipped.some((some) => below(some.path, each))]).toEqual([each, true]);
          for (const { reason } of skipped) if (reason.kind === 'pattern' && reason.file === null) expect(exclude[reason.line - 1]).toBe(reason.pattern);
        },
      ),
      { numRuns: process.env['TEST_ROUNDS'] === 'all' ? 1_000 : 40 },
    );
  });
});
