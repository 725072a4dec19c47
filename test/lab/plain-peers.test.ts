/** Push and pull where no runner can live, by the real rsync and the real SFTP server, against a model. */
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PlainPeer } from '../../src/sync/plain-peer.ts';
import { pullPlainly } from '../../src/sync/plain-pull.ts';
import { pushPlainly } from '../../src/sync/plain-push.ts';
import type { ProjectSpec } from '../../src/sync/push.ts';
import { rsyncHere, sftpHere } from '../support/plain-peers.ts';
import { readTree, type Tree, temporaryFolder, writeTree } from '../support/tree.ts';

const odd: Tree = {
  'train.py': 'print(1)\n',
  'run.sh': { text: '#!/bin/sh\n', mode: 0o755 },
  secret: { text: 'x', mode: 0o600 },
  'empty/': null,
  'sub/deep/er/x': 'x',
  link: { target: 'sub/deep' },
  dangling: { target: '/etc/passwd' },
  'with space': 'a',
  ' ': 'space alone',
  'new\nline': 'b',
  'größe-é-日本': 'c',
  '-dash': 'd',
  '--delete': 'd',
  'back\\slash': 'e',
  '\\#012': 'looks like an escape',
  '#comment': 'f',
  ';comment': 'f',
  '*': 'star',
  '[a]?': 'glob',
  "quote'": 'g',
  'quote"': 'g',
  '$HOME`id`': 'h',
  'a -> b': 'arrow',
  'tab\there': 'i',
  'cr\r': 'j',
  'host:path': 'k',
  'ro/': { mode: 0o555 },
  'ro/inside/': { mode: 0o500 },
  zero: '',
};

describe.each(['rsync', 'sftp'] as const)('by %s', (method) => {
  let folder: ReturnType<typeof temporaryFolder>;
  let root: string;
  let code: string;
  let peer: PlainPeer;
  beforeEach(async () => {
    folder = temporaryFolder('plain');
    root = join(folder.path, "the machine's");
    code = join(folder.path, 'code here');
    mkdirSync(code);
    mkdirSync(join(folder.path, 'staging'));
    peer = method === 'rsync' ? rsyncHere(root, join(folder.path, 'staging')) : await sftpHere(root);
  });
  afterEach(() => {
    peer.close();
    folder.remove();
  });

  const signal = new AbortController().signal;
  const recordFile = () => join(folder.path, 'record/one.json');
  const aside = () => join(root, 'kept/now');
  const there = (path = '') => join(root, 'workdir', path);
  const project = (more: Partial<ProjectSpec> = {}): ProjectSpec => ({ code, exclude: [], data: [], globalExcludes: null, never: [], ...more });
  const push = (more: Partial<ProjectSpec> = {}, outputs: string[] = []) =>
    pushPlainly(project(more), { peer, recordFile: recordFile(), aside: aside(), outputs, signal, onProgress: () => {}, onSurprise: () => {} });
  const pull = async (paths: string[], into: string) => {
    const warnings: string[] = [];
    const files = await pullPlainly({ peer, recordFile: recordFile(), paths, into, signal, onProgress: () => {}, onWarning: (text) => warnings.push(text) });
    return { files, warnings };
  };

  it('brings content, modes, links, empty folders and hostile names; a second push sends nothing', async () => {
    writeTree(code, odd);
    const totals = await push();
    expect(readTree(there())).toEqual(readTree(code));
    expect(totals.sentBytes).toBe(totals.bytes);
    expect(await push()).toMatchObject({ sentBytes: 0, warnings: [expect.stringContaining('leads out')] });
    expect(readTree(there())).toEqual(readTree(code));
    expect(existsSync(aside())).toBe(false);
  });

  it('what the ignore rules leave out stays here, and what the machine has made stays there', async () => {
    writeTree(code, { a: 'a', '.gitignore': '*.log\n', 'x.log': 'x' });
    await push();
    writeTree(there(), { 'made/there': 'm', 'x.log': 'its own' });
    rmSync(join(code, 'a'));
    await push();
    expect(Object.keys(readTree(there()))).toEqual(['.gitignore', 'made/', 'made/there', 'x.log']);
  });

  it('what became ignored is deleted there, unless it was changed there', async () => {
    writeTree(code, { 'a.log': 'a', 'b.log': 'b', 'd/c.log': 'c' });
    await push();
    writeTree(there(), { 'b.log': 'longer, by a job' });
    writeTree(code, { '.gitignore': '*.log\n' });
    rmSync(join(code, 'd'), { recursive: true });
    const { warnings } = await push();
    expect(Object.keys(readTree(there()))).toEqual(['.gitignore']);
    expect(readTree(aside())).toEqual({ 'b.log': expect.stringContaining('longer, by a job') });
    expect(warnings).toEqual([expect.stringContaining('b.log')]);
  });

  it('never deletes or writes through a link that the machine has put in a folder’s place', async () => {
    writeTree(code, { 'd/a': 'a', 'd/b': 'b' });
    await push();
    const elsewhere = join(folder.path, 'elsewhere');
    writeTree(elsewhere, { a: 'not ours', b: 'not ours' });
    rmSync(there('d'), { recursive: true });
    symlinkSync(elsewhere, there('d'));
    rmSync(join(code, 'd/a'));
    writeTree(code, { 'd/b': 'edited' });
    await push();
    expect(readTree(elsewhere)).toMatchObject({ a: expect.stringContaining('not ours'), b: expect.stringContaining('not ours') });
    expect(readTree(there())).toMatchObject({ 'd/b': expect.stringContaining('edited') });
    rmSync(join(code, 'd'), { recursive: true });
    rmSync(there('d'), { recursive: true });
    symlinkSync(elsewhere, there('d'));
    await push();
    expect(Object.keys(readTree(elsewhere))).toEqual(['a', 'b']);
  });

  it('files, folders and links in each other’s place', async () => {
    writeTree(code, { a: 'file', 'b/x': 'x', 'b/y': 'y', c: { target: 'a' } });
    await push();
    for (const name of ['a', 'b', 'c']) rmSync(join(code, name), { recursive: true });
    writeTree(code, { 'a/x': 'x', b: { target: 'a' }, 'c/z': 'z' });
    writeTree(there(), { 'b/own': 'by a job' });
    await push();
    expect(readTree(there())).toEqual(readTree(code));
    expect(readTree(aside())).toMatchObject({ 'b/own': expect.stringContaining('by a job') });
  });

  it('data beside the code: a folder and a single file, each in its place', async () => {
    const data = [
      { from: join(folder.path, 'pets'), to: 'data/pets' },
      { from: join(folder.path, 'one file'), to: 'data/one' },
    ];
    writeTree(folder.path, { 'pets/cat': 'meow', 'pets/.gitignore': '*', 'one file': '1' });
    writeTree(code, { a: 'a' });
    await push({ data });
    expect(Object.keys(readTree(there()))).toEqual(['a', 'data/', 'data/one', 'data/pets/', 'data/pets/.gitignore', 'data/pets/cat']);
    rmSync(join(folder.path, 'pets/cat'));
    expect(await push({ data })).toMatchObject({ sentBytes: 0, warnings: [] });
    expect(existsSync(there('data/pets/cat'))).toBe(false);
  });

  it('outputs of the machine are left alone, and fetched; what was pushed is not', async () => {
    writeTree(code, { 'runs/start': 'from here', a: 'a' });
    await push({}, ['runs']);
    writeTree(there(), {
      'runs/start': 'changed by a job',
      'runs/sub/model': { text: 'm', mode: 0o755 },
      'runs/hook/.git/config': 'evil',
      'runs/new\nline': 'n',
    });
    symlinkSync('/etc', there('runs/etc'));
    truncateSync(there('runs/sub/model'), 3_000_000);
    writeTree(code, { 'runs/start': 'edited' });
    expect((await push({}, ['runs'])).warnings).toEqual([expect.stringContaining('runs/start')]);
    const into = join(folder.path, 'into');
    mkdirSync(into);
    const { files, warnings } = await pull(['runs', 'nowhere'], into);
    expect(files.map(({ path, bytes }) => [path, bytes])).toEqual([
      ['runs/new\nline', 1],
      ['runs/start', 16],
      ['runs/sub/model', 3_000_000],
    ]);
    expect(warnings.sort()).toEqual(
      [
        'not pulled: runs/etc, a link, and those are not fetched without a runner',
        'not pulled: runs/hook/.git, since git here would run what a machine puts there',
        "nowhere doesn't exist on the machine: nothing to pull",
      ].sort(),
    );
    expect(readTree(into)).toMatchObject({ 'runs/start': expect.stringContaining('changed by a job'), 'runs/sub/model': expect.stringMatching(/^file 755 /) });
    expect((await pull(['runs'], into)).files).toEqual(files);
    expect(readdirSync(join(folder.path, 'staging'))).toEqual([]);
  });

  it('any edits on both sides: trees equal but for what the machine made, nothing of its own lost', async () => {
    const path = fc.constantFrom('a', 'b', 'd/a', 'd/b', 'd/e/f', 'd', 'l');
    const content = fc.constantFrom('x', 'yy', 'zzz');
    const edit = fc.record({ path, to: fc.oneof(content, content, fc.constant(null), fc.constant('link')), where: fc.constantFrom('here', 'here', 'there') });
    let round = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(edit, { maxLength: 5 }), { minLength: 1, maxLength: 4 }), async (rounds) => {
        for (const top of [code, there(), join(root, 'kept'), dirname(recordFile())]) rmSync(top, { recursive: true, force: true });
        mkdirSync(code);
        mkdirSync(there(), { recursive: true });
        for (const edits of rounds) {
          const own = new Set<string>();
          for (const { path: at, to, where } of edits) {
            round += 1;
            const top = where === 'here' ? code : there();
            const blocked = at
              .split('/')
              .some((_, index, parts) => index > 0 && !(readTree(code)[`${parts.slice(0, index).join('/')}/`] ?? 'dir').startsWith('dir'));
            if (blocked) continue;
            try {
              if (to === null) rmSync(join(top, at), { recursive: true, force: true });
              else if (to === 'link') writeTree(top, { [at]: { target: 'a' } });
              else {
                const text = where === 'here' ? to : `own ${round}`;
                writeTree(top, { [at]: text });
                // Two edits of one second and one size can't be told apart.
                utimesSync(join(top, at), 1e9 + round, 1e9 + round);
                if (where === 'there') own.add(text);
              }
            } catch {
              // in the place of something else
            }
          }
          const ownNow = new Set(Object.values({ ...readTree(root) }).flatMap((what) => [...own].filter((text) => what.endsWith(text))));
          await push();
          const mirrored = readTree(there());
          for (const [at, what] of Object.entries(readTree(code))) expect([at, mirrored[at]]).toEqual([at, what]);
          const left = Object.values(readTree(root));
          for (const text of ownNow) expect([text, left.some((what) => what.endsWith(text))]).toEqual([text, true]);
          rmSync(join(root, 'kept'), { recursive: true, force: true });
        }
      }),
      { numRuns: method === 'rsync' ? 15 : 60 },
    );
  });

  it('is interrupted between files, and goes on', async () => {
    for (let index = 0; index < 30; index += 1) writeFileSync(join(code, `f${index}`), 'x'.repeat(100_000));
    const stop = new AbortController();
    let told = 0;
    const cut = pushPlainly(project(), {
      peer,
      recordFile: recordFile(),
      aside: aside(),
      outputs: [],
      signal: stop.signal,
      onProgress: () => {
        told += 1;
        if (told === 3) stop.abort();
      },
      onSurprise: () => {},
    });
    if (method === 'sftp') await expect(cut).rejects.toMatchObject({ code: 'interrupted' });
    else await cut.catch((error: unknown) => expect(error).toMatchObject({ code: 'interrupted' })); // it may have been faster
    for (const [path, what] of Object.entries(readTree(there()))) expect([path, what.length]).toEqual([path, 'file 644 '.length + 100_000]);
    await push();
    expect(readTree(there())).toEqual(readTree(code));
    expect(readdirSync(join(root, 'incoming'))).toEqual([]);
  });
});
