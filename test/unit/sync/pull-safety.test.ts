import { rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readTree, type Tree, writeTree } from '../../support/tree.ts';
import { type Lab, makeLab } from './joined.ts';

let lab: Lab;
beforeEach(() => {
  lab = makeLab('pull-safety');
});
afterEach(() => lab.remove());

const there = (tree: Tree) => writeTree(lab.machine.workdir, tree);
const gone = (path: string) => rmSync(join(lab.machine.workdir, path), { recursive: true });
const here = (path: string) => join(lab.source, path);

describe('what a machine places in one pull', () => {
  it('does not let the next one write outside the output', async () => {
    writeTree(lab.source, { '.git/hooks/': null, 'train.py': 'mine' });
    const before = readTree(lab.source);
    there({ 'runs/x': { target: '../.git/hooks' }, 'runs/y': { target: '..' } });
    expect((await lab.pull(['runs'])).warnings).toEqual([expect.stringContaining('runs/x -> ../.git/hooks'), expect.stringContaining('runs/y -> ..')]);
    gone('runs');
    there({ 'runs/x/pre-commit': { text: '#!/bin/sh', mode: 0o755 }, 'runs/y/train.py': 'evil' });
    await lab.pull(['runs']);
    expect(readTree(lab.source, (path) => path === 'runs')).toEqual(before);
  });

  it.each(['..', '../.git/hooks'])('is not followed to %s, whoever made the link below the output', async (target) => {
    writeTree(lab.source, { '.git/hooks/': null, 'runs/': null });
    symlinkSync(target, here('runs/x'));
    const before = readTree(lab.source);
    there({ 'runs/x/pre-commit': 'evil' });
    await expect(lab.pull(['runs'])).rejects.toMatchObject({ code: 'sync', message: expect.stringContaining('leads out') });
    expect(readTree(lab.source)).toEqual(before);
  });

  it("does not reach git's files when the output is everything", async () => {
    writeTree(lab.source, { '.git/hooks/': null });
    there({ x: { target: '.git/hooks' }, y: { target: '.GIT' } });
    expect((await lab.pull(['.'])).warnings).toHaveLength(2);
    symlinkSync('.git/hooks', here('x'));
    gone('x');
    there({ 'x/pre-commit': 'evil' });
    await expect(lab.pull(['.'])).rejects.toMatchObject({ code: 'sync' });
    expect(readTree(here('.git'))).toEqual({ 'hooks/': 'dir 755' });
  });

  it("follows the user's own link to where an output belongs, and links inside it that stay", async () => {
    writeTree(lab.source, { 'disk/real/': null, 'runs/': null, 'runs/big': { target: '../disk' } });
    there({ 'runs/big/real/a': 'a', 'runs/big/latest': { target: 'real' }, 'runs/big/back': { target: '../disk/real' }, 'runs/big/up': { target: '..' } });
    const { warnings } = await lab.pull(['runs/big']);
    expect(readTree(here('disk'))).toEqual({ back: 'link ../disk/real', latest: 'link real', 'real/': 'dir 755', 'real/a': 'file 644 a' });
    expect(warnings).toHaveLength(1);
    gone('runs/big/latest');
    there({ 'runs/big/latest/b': 'b' });
    await lab.pull(['runs/big']);
    expect(readTree(here('disk/real'))).toEqual({ a: 'file 644 a', b: 'file 644 b' });
  });
});

describe('a repository inside outputs', () => {
  it.each(['.git', '.GIT', '.g\u200cit', 'git~1', 'GIT~1', '.git.', '.git ', '.git::$INDEX_ALLOCATION'])('%j is not pulled', async (name) => {
    there({ [`runs/sub/${name}/config`]: '[core] fsmonitor = evil', [`runs/sub/${name}/hooks/post-index-change`]: 'evil', 'runs/sub/a': 'a' });
    const { files, warnings } = await lab.pull(['runs']);
    expect(files.map(({ path }) => path)).toEqual(['runs/sub/a']);
    expect(warnings).toEqual([expect.stringContaining(`not pulled: runs/sub/${name}`)]);
    expect(readTree(lab.source)).toEqual({ 'runs/': 'dir 755', 'runs/sub/': 'dir 755', 'runs/sub/a': 'file 644 a' });
  });

  it('is not pulled as a file or a link either, nor when it is asked for', async () => {
    there({ 'a/.git': 'gitdir: ../meta', 'b/.git': { target: 'meta' }, '.git/config': 'evil', '.gitignore': 'i', 'x.git': 'x' });
    await lab.pull(['.', '.git']);
    await lab.pull(['.git']);
    expect(readTree(lab.source)).toEqual({ '.gitignore': 'file 644 i', 'a/': 'dir 755', 'b/': 'dir 755', 'x.git': 'file 644 x' });
  });
});

it('an output may be asked for before, and besides, the folder that it lies in', async () => {
  there({ 'runs/best/a': 'a', 'runs/b': 'b' });
  const { files } = await lab.pull(['runs/best', 'runs/', 'runs/best/a']);
  expect(files.map(({ path }) => path)).toEqual(['runs/b', 'runs/best/a']);
});
