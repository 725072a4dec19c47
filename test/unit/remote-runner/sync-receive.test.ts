/** The machine's end of a push against a laptop that lies, disks that are full and folders that are locked. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { look } from '../../../remote-runner/sync-disk.ts';
import { loadState, saveState } from '../../../remote-runner/sync-state.ts';
import type { Entry, PushParams } from '../../../src/protocol/sync.ts';
import { digestOf } from '../../../src/protocol/tree-digest.ts';
import { readTree, temporaryFolder, writeTree } from '../../support/tree.ts';
import { beforeBlocks, joinPeers, type Lab, makeLab } from '../sync/joined.ts';
import * as record from '../sync/records.ts';

let lab: Lab;
beforeEach(() => {
  lab = makeLab('receive');
});
afterEach(() => lab.remove());

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const file = (path: string, text = 'x') => ({ kind: 'file' as const, path, mode: 0o644, mtime: 0, size: text.length, sha256: sha256(text) });
const target = () => readTree(lab.machine.workdir);
const told = (text: string, size = text.length) => ({ size, id: sha256(text), torn: false });

interface Script {
  readonly entries: readonly object[];
  readonly params?: Partial<PushParams>;
  /** What is sent once the machine has said what it needs. */
  readonly content?: (call: ReturnType<ReturnType<typeof joinPeers>['open']>) => Promise<void>;
}

/** A laptop that says what the test wants. */
async function pushRaw({ entries, params = {}, content = async () => {} }: Script): Promise<unknown> {
  const wire = joinPeers(lab.machine);
  const digest = digestOf(entries as Entry[], (text) => createHash('sha256').update(text).digest());
  const call = wire.open('push', { source: 'code', digest, base: null, others: [], outputs: [], ...params });
  const parts = call.parts()[Symbol.asyncIterator]();
  try {
    if ((await parts.next()).done !== true) {
      await call.event({ type: 'entries', entries });
      await call.event({ type: 'entries-end' });
      for (let part = await parts.next(); !part.done && part.value.kind === 'event' && (part.value.value as { type: string }).type !== 'need-end'; )
        part = await parts.next();
      await content(call);
      await call.end();
    }
    return await call.result;
  } catch (error) {
    return await call.result.then(
      () => Promise.reject(error),
      (reason) => Promise.reject(reason),
    );
  } finally {
    await wire.idle();
  }
}

describe('a push that lies', () => {
  it.each([
    ['a way up', [file('../victim')]],
    ['a way up in the middle', [file('a/../../victim')]],
    ['an absolute path', [file('/tmp/victim')]],
    ['a NUL byte', [file('a\0b')]],
    ['a path twice', [file('a'), file('a')]],
    ['a file below a file', [file('a'), file('a/b')]],
    ['a file below a link', [{ kind: 'link', path: 'l', target: '/tmp' }, file('l/b')]],
    ['a link where a folder was implied', [file('l/b'), { kind: 'link', path: 'l', target: '/tmp' }]],
    ['a too long name', [file('x'.repeat(300))]],
    ['a setuid mode', [{ ...file('a'), mode: 0o4755 }]],
    ['no hash', [{ ...file('a'), sha256: 'abc' }]],
    ['an empty target', [{ kind: 'link', path: 'l', target: '' }]],
  ])('can not place %s', async (_, entries) => {
    await expect(pushRaw({ entries })).rejects.toMatchObject({ code: 'protocol' });
    expect(target()).toEqual({});
    expect(existsSync(join(lab.machine.root, 'victim'))).toBe(false);
  });

  it.each([
    ['a source name that leads out', { source: '../x' }],
    ['a digest that is none', { digest: 'x' }],
    ['the digest of another manifest', { digest: sha256('other') }],
    ['outputs that lead out', { outputs: ['../x'] }],
  ])('is refused for %s', async (_, params) => {
    await expect(pushRaw({ entries: [file('a')], params })).rejects.toMatchObject({ code: 'protocol' });
    expect(target()).toEqual({});
  });

  it('is refused in the place of another source', async () => {
    await expect(pushRaw({ entries: [file('data/x')], params: { others: ['data'] } })).rejects.toMatchObject({ code: 'bad-input' });
    await expect(pushRaw({ entries: [file('data')], params: { others: ['data/x'] } })).rejects.toMatchObject({ code: 'bad-input' });
  });

  it.each([
    ['another hash', [record.whole(0, told('y'), 'x')]],
    ['what was announced, and is not', [record.whole(0, told('x'), 'y', sha256('x'))]],
    ['another size', [record.begin(0), record.data('x'), record.end(told('x', 2))]],
    ['another file', [record.whole(1, told('x'), 'x')]],
    ['nothing', [record.same(0)]],
    ['two files at once', [record.begin(0), record.begin(0)]],
    ['a message in it', [], { type: 'told' }],
    ['a copy of nothing', [record.begin(0), record.copy(0, 1)]],
    ['more of a part that was never offered', [record.begin(0), record.keep()]],
    ['chunks of a small file', [record.begin(0), record.chunk('x'), record.end(told('x'))]],
    ['chunks and plain pieces', [record.begin(0), record.chunk('x'), record.data('x')]],
    ['more than was announced', [record.begin(0), ...Array.from({ length: 300 }, () => record.data('x'.repeat(250_000)))]],
  ])('about content, with %s, leaves nothing behind', async (_, records, message: object | null = null) => {
    const content: Script['content'] = async (call) => {
      await (message === null ? call.block(0, Buffer.concat(records)) : call.event(message));
    };
    await expect(pushRaw({ entries: [file('a')], content })).rejects.toMatchObject({ code: 'protocol' });
    expect(target()).toEqual({});
  });

  it('can not leave holes', async () => {
    await expect(pushRaw({ entries: [file('a')], content: (call) => call.block(1, record.whole(0, told('x'), 'x')) })).rejects.toMatchObject({
      code: 'protocol',
    });
    expect(target()).toEqual({});
  });

  it('that ends too early is no push', async () => {
    await expect(pushRaw({ entries: [file('a'), file('b')] })).rejects.toMatchObject({ code: 'protocol' });
    expect(target()).toEqual({});
  });
});

describe('a machine in a difficult state', () => {
  it('does not place data through a link above its target', async () => {
    mkdirSync(join(lab.path, 'elsewhere'));
    symlinkSync(join(lab.path, 'elsewhere'), join(lab.machine.workdir, 'data'));
    writeTree(lab.source, { a: 'a' });
    await expect(lab.push({ to: 'data/pets' })).rejects.toMatchObject({ code: 'sync', message: expect.stringContaining('a link on the machine') });
    expect(readTree(join(lab.path, 'elsewhere'))).toEqual({});
  });

  it('does not follow a link that takes the place of a folder during the push', async () => {
    writeTree(lab.source, { 'd/a': 'a', 'e/b': 'b' });
    const elsewhere = join(lab.path, 'elsewhere');
    mkdirSync(elsewhere);
    const wire = beforeBlocks(joinPeers(lab.machine), () => {
      rmSync(join(lab.machine.workdir, 'e'), { recursive: true });
      symlinkSync(elsewhere, join(lab.machine.workdir, 'e'));
    });
    await expect(lab.push({ wire })).rejects.toMatchObject({ code: 'sync', message: expect.stringContaining('e/b') });
    expect(readTree(elsewhere)).toEqual({});
    await lab.push();
    expect(target()).toEqual(readTree(lab.source));
  });

  it('looks into a file that changed too recently to tell', async () => {
    writeTree(lab.source, { a: 'one' });
    await lab.push();
    const place = join(lab.machine.workdir, 'a');
    writeFileSync(place, 'two');
    const file = join(lab.machine.root, 'sync', 'code.state');
    const saved = loadState(file);
    saved.placed.set('a', { ...saved.placed.get('a')!, fingerprint: look(place)!.fingerprint });
    saveState(file, saved);
    expect(loadState(file).placed.get('a')).toMatchObject({ fingerprint: look(place)!.fingerprint, settled: false });
    expect((await lab.push()).sentBytes).toBe(3);
    expect(readFileSync(place, 'utf8')).toBe('one');
  });

  it('says how much space is needed and free, before anything is sent', async () => {
    const entry = { ...file('a'), size: 2 ** 50 };
    await expect(pushRaw({ entries: [entry] })).rejects.toMatchObject({
      code: 'disk-full',
      message: expect.stringMatching(/needs 1125899907 MB .* only \d+ MB are free/),
    });
    expect(target()).toEqual({});
  });

  it('runs two pushes one after the other', async () => {
    writeTree(lab.source, { a: 'a'.repeat(100_000), b: 'b' });
    const [one, two] = await Promise.all([lab.push(), lab.push()]);
    expect([one.sentBytes, two.sentBytes].sort()).toEqual([0, 100_001]);
    expect(target()).toEqual(readTree(lab.source));
  });

  it('reports a move that a cut push could not report', async () => {
    writeTree(lab.source, { a: 'mine', b: 'b'.repeat(500_000) });
    writeTree(lab.machine.workdir, { a: 'theirs' });
    for (const _ of ['once', 'twice']) {
      await expect(lab.push({ wire: joinPeers(lab.machine, 300_000) })).rejects.toMatchObject({ code: 'connection' });
    }
    const { warnings } = await lab.push();
    expect(warnings).toEqual([expect.stringContaining('by an earlier push that was cut')]);
    expect(readFileSync(join(/ moved to (.*) there by /.exec(warnings[0]!)![1]!, 'a'), 'utf8')).toBe('theirs');
    expect((await lab.push()).warnings).toEqual([]);
  });
});

const isRoot = process.getuid?.() === 0;

/** Root inside a container often may not. */
function canMount(): boolean {
  const folder = temporaryFolder('mount');
  try {
    if (process.platform !== 'linux' || !isRoot || spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', folder.path]).status !== 0) return false;
    execFileSync('umount', [folder.path]);
    return true;
  } finally {
    folder.remove();
  }
}

describe.skipIf(!canMount())('with a small disk', () => {
  beforeEach(() => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', lab.machine.workdir]);
  });
  afterEach(() => {
    execFileSync('umount', [lab.machine.workdir]);
  });

  it('refuses what does not fit, and takes what fits after that', async () => {
    writeTree(lab.source, { big: 'x'.repeat(2_000_000) });
    await expect(lab.push()).rejects.toMatchObject({ code: 'disk-full' });
    expect(target()).toEqual({});
    rmSync(join(lab.source, 'big'));
    writeTree(lab.source, { small: 'x'.repeat(700_000) });
    await lab.push();
    writeFileSync(join(lab.source, 'small'), 'y'.repeat(700_000));
    await expect(lab.push()).rejects.toMatchObject({ code: 'disk-full' });
    expect(readFileSync(join(lab.machine.workdir, 'small'), 'utf8')).toBe('x'.repeat(700_000));
  });

  it('a disk that fills up meanwhile leaves no unfinished file', async () => {
    writeTree(lab.source, { a: 'a', big: 'x'.repeat(800_000) });
    const wire = beforeBlocks(joinPeers(lab.machine), (offset) => {
      if (offset > 0 && !existsSync(join(lab.machine.workdir, 'hog'))) writeFileSync(join(lab.machine.workdir, 'hog'), 'h'.repeat(600_000));
    });
    await expect(lab.push({ wire })).rejects.toMatchObject({ code: 'disk-full' });
    expect(Object.keys(target())).toEqual(['a', 'hog']);
    rmSync(join(lab.machine.workdir, 'hog'));
    await lab.push();
    expect(target()).toEqual(readTree(lab.source));
  });
});

/** Modes bind everybody but root: the push runs as another user in a process of its own. */
describe.skipIf(!isRoot)('as an ordinary user', () => {
  const nobody = 65_534;

  function giveAway(): void {
    execFileSync('chown', ['-R', `${nobody}:${nobody}`, lab.path]);
  }

  function pushAsNobody(): { code?: string; message?: string; warnings?: string[] } {
    const script = `
      const { joinPeers } = await import(${JSON.stringify(new URL('../sync/joined.ts', import.meta.url).href)});
      const { pushTree } = await import(${JSON.stringify(new URL('../../../src/sync/push.ts', import.meta.url).href)});
      process.setgid(${nobody});
      process.setuid(${nobody});
      const wire = joinPeers(${JSON.stringify(lab.machine)});
      const spec = { from: ${JSON.stringify(lab.source)}, to: '', others: [], never: [], ignore: { exclude: [], globalExcludes: null } };
      try {
        console.log(JSON.stringify(await pushTree(spec, { open: wire.open, cacheFolder: ${JSON.stringify(lab.cacheFolder)}, outputs: [] })));
      } catch (error) {
        console.log(JSON.stringify({ code: error.code, message: error.message }));
      }`;
    const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', cwd: '/' });
    if (run.stdout === '') throw new Error(run.stderr);
    return JSON.parse(run.stdout) as ReturnType<typeof pushAsNobody>;
  }

  it('works in and around read-only folders, and gives them their mode', () => {
    writeTree(lab.source, { 'ro/a': 'a', 'ro/sub/b': 'b', 'ro/sub/': { mode: 0o555 }, 'ro/': { mode: 0o555 }, 'gone/x': 'x', 'gone/': { mode: 0o555 } });
    giveAway();
    expect(pushAsNobody()).toMatchObject({ warnings: [] });
    expect(target()).toEqual(readTree(lab.source));
    chmodSync(join(lab.source, 'ro'), 0o755);
    writeTree(lab.source, { 'ro/new': 'n', 'ro/sub/b': 'changed' });
    chmodSync(join(lab.source, 'ro'), 0o555);
    rmSync(join(lab.source, 'gone'), { recursive: true });
    giveAway();
    expect(pushAsNobody()).toMatchObject({ warnings: [] });
    expect(target()).toEqual(readTree(lab.source));
  });

  it('gives a read-only folder of the machine its mode back', () => {
    writeTree(lab.source, { 'd/a': 'a', 'd/': { mode: 0o755 } });
    giveAway();
    pushAsNobody();
    rmSync(join(lab.source, 'd'), { recursive: true });
    writeTree(lab.machine.workdir, { 'd/made': 'm', 'd/': { mode: 0o555 } });
    giveAway();
    expect(pushAsNobody()).toMatchObject({ warnings: [] });
    expect(target()).toEqual({ 'd/': 'dir 555', 'd/made': 'file 644 m' });
  });

  it('moves a read-only folder aside that is in the way', () => {
    writeTree(lab.source, { d: 'a file' });
    writeTree(lab.machine.workdir, { 'd/made': 'm', 'd/': { mode: 0o555 } });
    giveAway();
    expect(pushAsNobody().warnings).toHaveLength(1);
    expect(target()).toEqual({ d: 'file 644 a file' });
  });

  it('names the file that this user may not read, and sends nothing', () => {
    writeTree(lab.source, { ok: 'ok', 'd/secret': { text: 's', mode: 0o000 } });
    giveAway();
    expect(pushAsNobody()).toMatchObject({ code: 'sync', message: expect.stringContaining('d/secret') });
    expect(target()).toEqual({});
  });

  it('names the place on the machine where it may not write', () => {
    writeTree(lab.source, { 'd/a': 'a' });
    mkdirSync(join(lab.machine.workdir, 'd'));
    giveAway();
    chownSync(join(lab.machine.workdir, 'd'), 0, 0);
    expect(pushAsNobody()).toMatchObject({ code: 'sync', message: expect.stringContaining(`${join(lab.machine.workdir, 'd')}/`) });
  });
});
