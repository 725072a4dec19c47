import { createHash } from 'node:crypto';
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PeerClosedError } from '../../../src/protocol/call-state.ts';
import { type Call, Peer } from '../../../src/protocol/peer.ts';
import { findClashes, refuseNameClashes } from '../../../src/sync/name-clash.ts';
import { pullOutputs } from '../../../src/sync/pull.ts';
import { readTree, type Tree, writeTree } from '../../support/tree.ts';
import { joinPeers, type Lab, makeLab } from './joined.ts';
import * as record from './records.ts';

let lab: Lab;
beforeEach(() => {
  lab = makeLab('pull');
});
afterEach(() => lab.remove());

const there = (tree: Tree) => writeTree(lab.machine.workdir, tree);
const here = (path: string) => join(lab.source, path);
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

describe('pullOutputs', () => {
  it('brings files, folders, links, exec bits and odd names, and says what it brought', async () => {
    there({
      'runs/best.pt': 'weights',
      'runs/log s\n': 'l',
      'runs/empty/': null,
      'runs/é/日本': 'u',
      'runs/-x': '',
      'runs/run.sh': { text: '#!', mode: 0o755 },
      'runs/latest': { target: 'best.pt' },
      other: 'not asked for',
    });
    const { files, warnings } = await lab.pull(['runs/']);
    expect(warnings).toEqual([]);
    expect(readTree(lab.source)).toEqual(readTree(lab.machine.workdir, (path) => path === 'other'));
    expect(files).toContainEqual({ path: 'runs/best.pt', bytes: 7, sha256: sha256('weights') });
    expect(files).toHaveLength(5);
  });

  it('keeps times', async () => {
    there({ 'runs/a': 'a' });
    utimesSync(join(lab.machine.workdir, 'runs/a'), 1e9, 1_234_567_890);
    await lab.pull(['runs']);
    expect(lstatSync(here('runs/a')).mtimeMs).toBe(1_234_567_890_000);
  });

  it('of the far future become the latest that can be said', async () => {
    there({ 'runs/a': 'a' });
    for (const path of ['runs/a', 'runs']) utimesSync(join(lab.machine.workdir, path), 1e10, 1e10);
    await lab.pull(['runs']);
    expect(Math.floor(lstatSync(here('runs/a')).mtimeMs)).toBe(Math.floor(Number.MAX_SAFE_INTEGER / 1e3));
    utimesSync(here('runs/a'), 1e10, 1e10);
    expect((await lab.push()).files).toBe(1);
  });

  it('what is equal here does not travel; what differs is replaced at once', async () => {
    there({ 'runs/big': 'x'.repeat(500_000), 'runs/new': 'n' });
    writeTree(lab.source, { 'runs/big': 'x'.repeat(500_000), 'runs/new': 'o' });
    const inode = lstatSync(here('runs/big')).ino;
    const wire = joinPeers(lab.machine);
    const files = await pullOutputs({ open: wire.open, paths: ['runs'], into: lab.source });
    expect(wire.traffic.down).toBeLessThan(3_000);
    expect(files.map(({ path }) => path)).toEqual(['runs/big', 'runs/new']);
    expect(lstatSync(here('runs/big')).ino).toBe(inode);
    expect(readFileSync(here('runs/new'), 'utf8')).toBe('n');
  });

  it('leaves out sources that a push placed and nobody changed', async () => {
    writeTree(lab.source, { 'train.py': 'v1', 'changed.txt': 'v1' });
    await lab.push();
    there({ 'model.bin': 'm' });
    writeFileSync(join(lab.machine.workdir, 'changed.txt'), 'by the job');
    writeFileSync(here('train.py'), 'edited here since');
    const { files } = await lab.pull(['.']);
    expect(files.map(({ path }) => path)).toEqual(['changed.txt', 'model.bin']);
    expect(readFileSync(here('train.py'), 'utf8')).toBe('edited here since');
  });

  it('an output that was pulled, pushed and lost here is pulled again', async () => {
    there({ 'runs/a': 'made there' });
    await lab.pull(['runs']);
    await lab.push({ outputs: ['runs'] });
    rmSync(here('runs'), { recursive: true });
    expect((await lab.pull(['runs'])).files).toHaveLength(1);
  });

  it('a path that does not exist there is a warning', async () => {
    there({ 'runs/a': 'a', file: '' });
    const { files, warnings } = await lab.pull(['nothing', 'runs', 'file/below']);
    expect(files).toHaveLength(1);
    expect(warnings).toEqual(["nothing doesn't exist on the machine: nothing to pull", "file/below doesn't exist on the machine: nothing to pull"]);
  });

  it('an output that is a link to a bigger disk there is followed, links inside that lead out are not pulled', async () => {
    const disk = join(lab.path, 'disk');
    writeTree(disk, {
      'ckpt/a': 'a',
      'ckpt/out': { target: '/etc/passwd' },
      'ckpt/up': { target: '../../..' },
      'ckpt/zigzag': { target: 'a/../../x' },
      'ckpt/back': { target: '../ckpt/a' },
    });
    symlinkSync(join(disk, 'ckpt'), join(lab.machine.workdir, 'ckpt'));
    const { warnings } = await lab.pull(['ckpt']);
    expect(readTree(lab.source)).toEqual({ 'ckpt/': 'dir 755', 'ckpt/a': 'file 644 a', 'ckpt/back': 'link ../ckpt/a' });
    expect(warnings).toHaveLength(3);
  });

  it('refuses paths that leave the workdir, and a folder that is not there', async () => {
    await expect(lab.pull(['../x'])).rejects.toMatchObject({ code: 'bad-input' });
    await expect(lab.pull(['/etc'])).rejects.toMatchObject({ code: 'bad-input' });
    await expect(lab.pull(['a'], join(lab.path, 'nowhere'))).rejects.toMatchObject({ code: 'bad-input' });
  });

  it('never writes through a link here that leads out, but does through one that stays', async () => {
    there({ 'runs/a': 'a', 'in/b': 'b' });
    const outside = join(lab.path, 'outside');
    mkdirSync(outside);
    symlinkSync(outside, here('runs'));
    await expect(lab.pull(['runs'])).rejects.toMatchObject({ code: 'sync', message: expect.stringContaining('leads out') });
    expect(readTree(outside)).toEqual({});
    writeTree(lab.source, { 'real/': null, in: { target: 'real' } });
    await lab.pull(['in']);
    expect(readFileSync(here('real/b'), 'utf8')).toBe('b');
  });

  it('replaces a link here, instead of writing through it', async () => {
    there({ out: 'new' });
    writeTree(lab.path, { victim: 'untouched' });
    symlinkSync('../victim', here('out'));
    await lab.pull(['out']);
    expect(readTree(lab.source)).toEqual({ out: 'file 644 new' });
    expect(readFileSync(join(lab.path, 'victim'), 'utf8')).toBe('untouched');
  });

  it('a folder and a file in the same place stop it, and nothing is lost', async () => {
    there({ x: 'file', 'y/z': 'z' });
    writeTree(lab.source, { 'x/mine': 'm', y: 'mine' });
    await expect(lab.pull(['x'])).rejects.toMatchObject({ code: 'sync', message: expect.stringContaining('is a folder here and a file on the machine') });
    await expect(lab.pull(['y'])).rejects.toMatchObject({ code: 'sync', message: expect.stringContaining('is a file here and a folder on the machine') });
    expect(readTree(lab.source)).toEqual({ 'x/': 'dir 755', 'x/mine': 'file 644 m', y: 'file 644 mine' });
  });

  it('goes on where a cut connection left it', async () => {
    there({ 'runs/a': 'a'.repeat(300_000), 'runs/b': 'b'.repeat(300_000) });
    const wire = joinPeers(lab.machine, 590_000);
    await expect(pullOutputs({ open: wire.open, paths: ['runs'], into: lab.source })).rejects.toMatchObject({ code: 'connection' });
    expect(Object.keys(readTree(lab.source))).toEqual(['runs/', 'runs/a']);
    await lab.pull(['runs']);
    expect(readTree(lab.source)).toEqual(readTree(lab.machine.workdir));
  });

  it('a file that is removed while it is pulled is a warning', async () => {
    there({ a: 'a', b: 'b' });
    const wire = joinPeers(lab.machine);
    const warnings: string[] = [];
    const open: typeof wire.open = (op, params) => {
      const call = wire.open(op, params);
      const event = call.event.bind(call);
      return Object.assign(call, {
        event: (value: unknown) => {
          rmSync(join(lab.machine.workdir, 'a'), { force: true });
          return event(value);
        },
      });
    };
    const files = await pullOutputs({ open, paths: ['.'], into: lab.source, onWarning: (text) => warnings.push(text) });
    expect(files.map(({ path }) => path)).toEqual(['b']);
    expect(warnings).toEqual([expect.stringContaining('a vanished')]);
  });

  it('does not run through a folder that became a link there', async () => {
    there({ 'runs/a': 'a' });
    renameSync(join(lab.machine.workdir, 'runs'), join(lab.path, 'moved'));
    symlinkSync(join(lab.path, 'moved'), join(lab.machine.workdir, 'runs'));
    chmodSync(join(lab.path, 'moved'), 0o700);
    expect((await lab.pull(['runs/a'])).files).toHaveLength(1);
  });
});

describe('a hostile machine', () => {
  type Reply = (call: Call) => Promise<unknown>;
  const file = (path: string, size = 1) => ({ kind: 'file', path, mode: 0o644, mtime: 0, size });
  const listing =
    (items: unknown[]): Reply =>
    async (call) => {
      await call.event({ type: 'listing', items });
      await call.event({ type: 'listing-end', missing: [], skipped: [], unreadable: [] });
      for await (const part of call.parts()) if (part.kind === 'event' && (part.value as { type: string }).type === 'want-end') return {};
      return {};
    };

  async function pullFrom(reply: Reply, paths = ['runs']): Promise<unknown> {
    const remote: Peer = new Peer(async (...parts) => laptop.feed(Buffer.concat(parts)), reply, crc32);
    const send = async (...parts: readonly Uint8Array[]) => {
      remote.feed(Buffer.concat(parts)).catch(() => laptop.close(new PeerClosedError('broken')));
    };
    const laptop: Peer = new Peer(send, null, crc32);
    return pullOutputs({ open: (op, params) => laptop.open(op, params), paths, into: lab.source });
  }

  it.each([
    ['a way up', [file('runs/../../../victim')]],
    ['an absolute path', [file('/tmp/victim')]],
    ['a NUL byte', [file('runs/a\0b')]],
    ['an empty part', [file('runs//a')]],
    ['a dot', [file('runs/./a')]],
    ['what was not asked for', [file('elsewhere')]],
    ['the same path twice', [file('runs/a'), file('runs/a')]],
    ['a file below a file', [file('runs/a'), file('runs/a/b')]],
    ['a file below a link', [{ kind: 'link', path: 'runs/l', target: '..' }, file('runs/l/b')]],
    ['a link in the place of a parent', [file('runs/l/b'), { kind: 'link', path: 'runs/l', target: '..' }]],
    ['a name that is too long', [file(`runs/${'x'.repeat(256)}`)]],
    ['a negative size', [file('runs/a', -1)]],
    ['a fraction of a byte', [file('runs/a', 0.5)]],
    ['a setuid mode', [{ ...file('runs/a'), mode: 0o4755 }]],
    ['an unknown kind', [{ ...file('runs/a'), kind: 'device' }]],
    ['a half surrogate', [file('runs/\ud800')]],
    ['no object', ['runs/a']],
  ])('can not list %s', async (_, items) => {
    await expect(pullFrom(listing(items))).rejects.toMatchObject({ code: 'protocol' });
    expect(readTree(lab.source)).toEqual({});
  });

  it('that says one size and hash and sends another is found out, and nothing stays', async () => {
    const send =
      (...records: Buffer[]): Reply =>
      async (call) => {
        await listing([file('runs/a', 3)])(call);
        await call.block(0, Buffer.concat(records));
        return {};
      };
    const told = (text: string, size = text.length) => ({ size, id: sha256(text), torn: false });
    const lies = [
      [record.whole(0, told('abd'), 'abc')],
      [record.whole(0, told('abc', 2), 'ab')],
      [record.whole(7, told('abc'), 'abc')],
      [record.whole(0, told('abc'), 'abc', sha256('abc'))], // of which nobody was told
      [record.begin(0), record.data('abc'), record.end(told('abd'))],
      [record.begin(0), record.data('abc'), record.end(told('abc', 2))],
      [record.begin(0), record.data('ab'), record.end(told('abc'))],
      [record.begin(0), record.data('ab'), record.again(), record.data('c'), record.end(told('abc'))],
      [record.begin(0), record.data('abc'), record.whole(0, told('abc'), 'abc')],
      [record.data('abc'), record.end(told('abc'))],
      [record.same(0)],
      [Buffer.of(99)],
    ];
    for (const records of lies) await expect(pullFrom(send(...records))).rejects.toMatchObject({ code: 'protocol' });
    expect(readTree(lab.source)).toEqual({ 'runs/': 'dir 755' });
    await pullFrom(send(record.begin(0), record.data('x'), record.again(), record.begin(0), record.data('a'), record.data('bc'), record.end(told('abc'))));
    expect(readTree(lab.source)).toEqual({ 'runs/': 'dir 755', 'runs/a': 'file 644 abc' });
    await expect(pullFrom(send(record.whole(0, told('abc'), 'abc'), record.whole(1, told('abc'), 'abc')))).rejects.toMatchObject({ code: 'protocol' });
    rmSync(join(lab.source, 'runs/a'));
    await pullFrom(send(record.whole(0, told('abc'), 'abc')));
    expect(readTree(lab.source)).toEqual({ 'runs/': 'dir 755', 'runs/a': 'file 644 abc' });
  });

  it('can not fill the disk by announcing more than there is', async () => {
    await expect(pullFrom(listing([file('runs/a', 2 ** 52)]))).rejects.toMatchObject({ code: 'disk-full' });
  });

  it('can not fill the disk by sending more than it announced', async () => {
    const block = record.data('x'.repeat(256 * 1024 - 10));
    let sent = 0;
    const endless: Reply = async (call) => {
      await listing([file('runs/a', 1)])(call);
      const begin = record.begin(0);
      await call.block(0, begin);
      for (; sent < 128 * 1024 * 1024; sent += block.length) await call.block(begin.length + sent, block);
      return {};
    };
    await expect(pullFrom(endless)).rejects.toMatchObject({ code: 'protocol' });
    expect(sent).toBeLessThan(80 * 1024 * 1024);
    expect(readTree(lab.source)).toEqual({ 'runs/': 'dir 755' });
  });

  it('can not lead out by a chain of links', async () => {
    const link = (path: string, target: string) => ({ kind: 'link', path, target });
    const folder = (path: string) => ({ kind: 'dir', path, mode: 0o755, mtime: 0 });
    const items = [
      folder('runs'),
      folder('runs/d'),
      link('runs/d/top', '..'),
      link('runs/d/beside', '../..'),
      link('runs/d/up', 'top/..'),
      link('runs/d/abs', '/'),
      link('runs/d/far', '../../..'),
    ];
    await pullFrom(listing(items));
    expect(readTree(lab.source)).toEqual({ 'runs/': 'dir 755', 'runs/d/': 'dir 755', 'runs/d/top': 'link ..' });
    expect(existsSync(here('runs/d/top'))).toBe(true);
  });
});

describe('names that clash', () => {
  it('are found by case and by the way accents are written', () => {
    expect(findClashes(['a', 'A', 'b', 'x/é', 'x/e\u0301', 'y/é'])).toEqual([
      ['a', 'A'],
      ['x/é', 'x/e\u0301'],
    ]);
  });

  it('are no trouble where the file system tells them apart', () => {
    refuseNameClashes(['a', 'A', 'x/é', 'x/e\u0301'], lab.source, 'linux');
    expect(readTree(lab.source)).toEqual({});
  });

  it.each(['con', 'a/NUL.txt', 'a:b', 'back\\slash', 'dot.', 'space ', 'q?'])('%s can not exist on Windows', (path) => {
    expect(() => refuseNameClashes([path], lab.source, 'win32')).toThrow(/Windows/);
  });
});
