import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readTree, writeTree } from '../../support/tree.ts';
import { joinPeers, type Lab, makeLab } from './joined.ts';

let lab: Lab;
beforeEach(() => {
  lab = makeLab('push');
});
afterEach(() => lab.remove());

const target = () => readTree(lab.machine.workdir);
const source = () => readTree(lab.source);
const remote = (path: string) => join(lab.machine.workdir, path);
const local = (path: string) => join(lab.source, path);

describe('pushTree', () => {
  it('brings content, modes, links, empty folders and odd names', async () => {
    writeTree(lab.source, {
      'train.py': 'print(1)\n',
      'run.sh': { text: '#!/bin/sh\n', mode: 0o755 },
      secret: { text: 'x', mode: 0o600 },
      'empty/': null,
      'sub/deep/er/x': 'x',
      link: { target: 'sub/deep' },
      dangling: { target: 'nowhere' },
      'with space': 'a',
      'new\nline': 'b',
      'größe-é-日本': 'c',
      '-dash': 'd',
      'back\\slash': 'e',
      'ro/': { mode: 0o555 },
      'ro/inside/': { mode: 0o500 },
      zero: '',
    });
    const totals = await lab.push();
    expect(target()).toEqual(source());
    expect(totals).toMatchObject({ files: 10, warnings: [] });
    expect(totals.sentBytes).toBe(totals.bytes);
  });

  it('keeps times of files and folders', async () => {
    writeTree(lab.source, { 'd/a': 'a' });
    utimesSync(local('d/a'), 1e9, 1_000_000_000.25);
    utimesSync(local('d'), 1e9, 1_100_000_000);
    await lab.push();
    expect(lstatSync(remote('d/a')).mtimeMs).toBe(1_000_000_000_250);
    expect(lstatSync(remote('d')).mtimeMs).toBe(1_100_000_000_000);
  });

  it('an unchanged tree costs one round trip and no content', async () => {
    writeTree(lab.source, { a: 'a', 'd/b': 'b', l: { target: 'a' } });
    const first = await lab.push();
    expect(first.turns).toBeGreaterThan(2);
    const wire = joinPeers(lab.machine);
    const second = await lab.push({ wire });
    expect(second).toMatchObject({ sentBytes: 0, turns: 2, files: 2 });
    expect(wire.traffic.up).toBeLessThan(500);
  });

  it('sends changed files only', async () => {
    writeTree(lab.source, { a: 'aaaa', b: 'bb' });
    await lab.push();
    writeFileSync(local('b'), 'changed');
    expect((await lab.push()).sentBytes).toBe(7);
    expect(target()).toEqual(source());
  });

  it('sees an edit that leaves size and time as they were', async () => {
    writeTree(lab.source, { a: 'one' });
    utimesSync(local('a'), 1e9, 1e9);
    await lab.push();
    writeFileSync(local('a'), 'two');
    utimesSync(local('a'), 1e9, 1e9);
    await lab.push();
    expect(readFileSync(remote('a'), 'utf8')).toBe('two');
  });

  it('a new time or mode alone moves no content', async () => {
    writeTree(lab.source, { a: 'one', 'd/x': 'x' });
    await lab.push();
    utimesSync(local('a'), 1e9, 2e9);
    chmodSync(local('d/x'), 0o700);
    chmodSync(local('d'), 0o700);
    expect((await lab.push()).sentBytes).toBe(0);
    expect(target()).toEqual(source());
    expect(lstatSync(remote('a')).mtimeMs).toBe(2e12);
    expect((await lab.push()).turns).toBe(2);
  });

  it('deletes what is gone here, and nothing that the machine made', async () => {
    writeTree(lab.source, { a: 'a', 'd/b': 'b', 'e/f/g': 'g' });
    await lab.push();
    writeTree(lab.machine.workdir, { 'd/made': 'there', 'other/x': 'y' });
    rmSync(local('d'), { recursive: true });
    rmSync(local('e'), { recursive: true });
    const { warnings } = await lab.push();
    expect(Object.keys(target())).toEqual(['a', 'd/', 'd/made', 'other/', 'other/x']);
    expect(warnings).toEqual([]);
  });

  it('changes types: file, folder, link and back', async () => {
    writeTree(lab.source, { x: 'file', 'y/in': 'in', z: { target: 'x' } });
    await lab.push();
    rmSync(local('x'));
    rmSync(local('y'), { recursive: true });
    rmSync(local('z'));
    writeTree(lab.source, { 'x/now': 'folder', y: { target: 'x' }, z: 'file' });
    await lab.push();
    expect(target()).toEqual(source());
    rmSync(local('x'), { recursive: true });
    rmSync(local('y'));
    rmSync(local('z'));
    writeTree(lab.source, { x: { target: 'z' }, y: 'file', 'z/in/er': 'q' });
    const { warnings } = await lab.push();
    expect(target()).toEqual(source());
    expect(warnings).toEqual([]);
  });

  it('swaps two files', async () => {
    writeTree(lab.source, { a: 'was a', b: 'was b' });
    await lab.push();
    renameSync(local('a'), local('t'));
    renameSync(local('b'), local('a'));
    renameSync(local('t'), local('b'));
    await lab.push();
    expect(target()).toEqual(source());
  });

  it('moves aside what the machine changed, and says so', async () => {
    writeTree(lab.source, { edited: '1', removed: '2', 'd/x': '3' });
    await lab.push();
    writeFileSync(remote('edited'), 'by the machine');
    writeFileSync(remote('removed'), 'also by the machine');
    writeFileSync(local('edited'), 'by me');
    rmSync(local('removed'));
    const { warnings } = await lab.push();
    expect(target()).toEqual(source());
    expect(warnings.map((text) => text.slice(0, 60)).sort()).toEqual([
      expect.stringContaining('edited was made or changed'),
      expect.stringContaining('removed was made or changed'),
    ]);
    const kept = join(lab.machine.root, 'kept', readdirSync(join(lab.machine.root, 'kept'))[0]!);
    expect(readTree(kept)).toEqual({ edited: 'file 644 by the machine', removed: 'file 644 also by the machine' });
    expect(warnings.join()).toContain(join(kept, 'edited'));
  });

  it('names a few of many files that were moved aside or left alone, and counts the others', async () => {
    const names = Array.from({ length: 500 }, (_, number) => `${'d'.repeat(200)}/${'e'.repeat(200)}/${number}`);
    writeTree(
      lab.source,
      Object.fromEntries(
        names.flatMap((name) => [
          [name, 'a'],
          [`runs/${name}`, 'a'],
        ]),
      ),
    );
    writeTree(
      lab.machine.workdir,
      Object.fromEntries(
        names.flatMap((name) => [
          [name, 'bb'],
          [`runs/${name}`, 'bb'],
        ]),
      ),
    );
    const wire = joinPeers(lab.machine);
    const { warnings } = await lab.push({ wire, outputs: ['runs'] });
    const folder = join(lab.machine.root, 'kept', readdirSync(join(lab.machine.root, 'kept'))[0]!);
    expect(warnings).toHaveLength(12);
    expect(warnings[5]).toBe(`495 more were made or changed on the machine; all are in ${folder} there`);
    expect(warnings[11]).toBe('495 more are outputs and differ on the machine; they were left as they are there');
    expect(wire.traffic.down).toBeLessThan(300_000);
    expect(Object.keys(readTree(folder)).filter((path) => !path.endsWith('/'))).toHaveLength(500);
  });

  it('restores what was deleted or changed there, also when nothing changed here', async () => {
    writeTree(lab.source, { a: '1', b: '2', 'd/c': '3', l: { target: 'a' } });
    await lab.push();
    rmSync(remote('a'));
    rmSync(remote('d'), { recursive: true });
    writeFileSync(remote('b'), 'X');
    rmSync(remote('l'));
    const { warnings } = await lab.push();
    expect(target()).toEqual(source());
    expect(warnings).toHaveLength(1);
  });

  it('takes over equal content that was there before, and never deletes it', async () => {
    writeTree(lab.machine.workdir, { same: 'equal', differs: 'theirs' });
    writeTree(lab.source, { same: 'equal', differs: 'ours' });
    const first = await lab.push();
    expect(first.sentBytes).toBe(4);
    expect(first.warnings).toHaveLength(1);
    rmSync(local('same'));
    rmSync(local('differs'));
    await lab.push();
    expect(Object.keys(target())).toEqual(['same']);
  });

  it('a folder that the machine replaced with a link is not walked through', async () => {
    writeTree(lab.source, { 'd/a': '1', 'd/b': '2' });
    await lab.push();
    const outside = join(lab.path, 'outside');
    renameSync(remote('d'), outside);
    symlinkSync(outside, remote('d'));
    rmSync(local('d/b'));
    writeFileSync(local('d/a'), 'new');
    await lab.push();
    expect(target()).toEqual(source());
    expect(readTree(outside)).toEqual({ a: 'file 644 1', b: 'file 644 2' });
  });

  it('leaves outputs of the machine alone', async () => {
    writeTree(lab.source, { 'runs/old': 'pulled before', 'runs/config': 'v1', code: 'x' });
    writeTree(lab.machine.workdir, { 'runs/old': 'newer on the machine', 'runs/made': 'm' });
    const first = await lab.push({ outputs: ['runs/'] });
    expect(readFileSync(remote('runs/old'), 'utf8')).toBe('newer on the machine');
    expect(first.warnings).toEqual(['runs/old is an output and differs on the machine; it was left as it is there']);
    writeFileSync(local('runs/config'), 'v2');
    await lab.push({ outputs: ['runs'] });
    expect(readFileSync(remote('runs/config'), 'utf8')).toBe('v2');
    writeFileSync(remote('runs/config'), 'changed there');
    rmSync(local('runs'), { recursive: true });
    await lab.push({ outputs: ['runs'] });
    expect(Object.keys(target())).toEqual(['code', 'runs/', 'runs/config', 'runs/made', 'runs/old']);
    expect(existsSync(join(lab.machine.root, 'kept'))).toBe(false);
  });

  it('code and data do not touch each other', async () => {
    const pets = join(lab.path, 'pets');
    mkdirSync(pets);
    writeTree(pets, { 'cat.jpg': 'meow', '.gitignore': '*' });
    writeTree(lab.source, { 'data/readme': 'r', 'train.py': 'p' });
    await lab.push({ others: ['data/pets'] });
    await lab.push({ from: pets, to: 'data/pets', others: [] });
    rmSync(local('data'), { recursive: true });
    await lab.push({ others: ['data/pets'] });
    expect(Object.keys(target())).toEqual(['data/', 'data/pets/', 'data/pets/.gitignore', 'data/pets/cat.jpg', 'train.py']);
    rmSync(join(pets, 'cat.jpg'));
    await lab.push({ from: pets, to: 'data/pets' });
    expect(Object.keys(target())).toEqual(['data/', 'data/pets/', 'data/pets/.gitignore', 'train.py']);
  });

  it('data can be one file, and turn into a folder', async () => {
    const csv = join(lab.path, 'x.csv');
    writeFileSync(csv, '1,2');
    await lab.push({ from: csv, to: 'in/x.csv' });
    expect(readFileSync(remote('in/x.csv'), 'utf8')).toBe('1,2');
    rmSync(csv);
    writeTree(csv, { part1: 'a' });
    const { warnings } = await lab.push({ from: csv, to: 'in/x.csv' });
    expect(warnings).toEqual([]);
    expect(Object.keys(target())).toEqual(['in/', 'in/x.csv/', 'in/x.csv/part1']);
    rmSync(csv, { recursive: true });
    writeFileSync(csv, '3');
    await lab.push({ from: csv, to: 'in/x.csv' });
    expect(Object.keys(target())).toEqual(['in/', 'in/x.csv']);
  });
});

it('what is surprisingly big is told before a byte of it is sent', async () => {
  mkdirSync(local('sub/node_modules'), { recursive: true });
  writeFileSync(local('sub/node_modules/x'), '');
  truncateSync(local('sub/node_modules/x'), 200e6);
  const wire = joinPeers(lab.machine);
  const stop = new AbortController();
  const surprises: unknown[] = [];
  const onSurprise = (surprise: unknown) => {
    surprises.push(surprise);
    stop.abort();
  };
  await expect(lab.push({ wire, signal: stop.signal, onSurprise })).rejects.toMatchObject({ code: 'interrupted' });
  expect(surprises).toEqual([expect.objectContaining({ path: 'sub/node_modules', bytes: 200e6 })]);
  expect(wire.traffic.up).toBeLessThan(10_000);
});
