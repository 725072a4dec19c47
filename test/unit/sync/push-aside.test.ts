import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readTree, writeTree } from '../../support/tree.ts';
import { beforeBlocks, joinPeers, type Lab, makeLab } from './joined.ts';

let lab: Lab;
beforeEach(() => {
  lab = makeLab('aside');
});
afterEach(() => lab.remove());

const target = () => readTree(lab.machine.workdir);
const remote = (path: string) => join(lab.machine.workdir, path);
const local = (path: string) => join(lab.source, path);
const kept = () => {
  const all = join(lab.machine.root, 'kept');
  return readTree(join(all, readdirSync(all)[0]!));
};

describe('what a push moves aside', () => {
  it('has room for a folder whose content was moved before', async () => {
    writeTree(lab.source, { 'a/b': 'b', keep: 'k' });
    await lab.push();
    writeTree(lab.machine.workdir, { 'a/b': 'changed there', 'a/c': 'made there' });
    rmSync(local('a'), { recursive: true });
    writeFileSync(local('a'), 'a file now');
    const { warnings } = await lab.push();
    expect(target()).toEqual(readTree(lab.source));
    expect(kept()).toMatchObject({ 'a/b': 'file 644 changed there', 'a~1/c': 'file 644 made there' });
    expect(warnings.map((text) => readFileSync(text.split(' moved to ')[1]!.replace(/a~1$/, 'a~1/c'), 'utf8'))).toEqual(['changed there', 'made there']);
  });

  it('has room below the name of a file that was moved before', async () => {
    writeTree(lab.source, { 'd/x': 'mine' });
    writeTree(lab.machine.workdir, { d: 'a file there' });
    const wire = beforeBlocks(joinPeers(lab.machine), () => writeFileSync(remote('d/x'), 'made meanwhile'));
    await lab.push({ wire });
    expect(target()).toEqual(readTree(lab.source));
    expect(kept()).toMatchObject({ d: 'file 644 a file there', 'd~1/x': 'file 644 made meanwhile' });
  });
});

const memory = '/dev/shm';

function isOtherDisk(): boolean {
  const device = (path: string) => statSync(path, { throwIfNoEntry: false })?.dev;
  const probe = makeLab('device');
  try {
    return device(memory) !== undefined && device(memory) !== device(probe.path);
  } finally {
    probe.remove();
  }
}

describe.skipIf(!isOtherDisk())('what a push moves aside to another file system', () => {
  let elsewhere: string;
  beforeEach(() => {
    elsewhere = mkdtempSync(join(memory, 'gpu-run-kept-'));
    mkdirSync(lab.machine.root, { recursive: true });
    symlinkSync(elsewhere, join(lab.machine.root, 'kept'));
  });
  afterEach(() => rmSync(elsewhere, { recursive: true }));

  it('arrives whole, with modes, links and times', async () => {
    writeTree(lab.source, { f: 'mine', d: 'mine', l: 'mine' });
    const theirs = { f: { text: 'theirs', mode: 0o640 }, 'd/in/x': 'x', 'd/in/y': { target: 'x' }, 'd/in/': { mode: 0o555 }, l: { target: 'nowhere' } };
    writeTree(lab.machine.workdir, theirs);
    utimesSync(remote('f'), 1e9, 1e9);
    const before = target();
    const { warnings } = await lab.push();
    expect(warnings).toHaveLength(3);
    expect(target()).toEqual(readTree(lab.source));
    expect(kept()).toEqual(before);
    expect(statSync(warnings.find((text) => text.startsWith('f '))!.split(' moved to ')[1]!).mtimeMs).toBe(1e12);
  });
});
