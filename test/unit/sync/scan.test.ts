import { execFileSync, spawnSync } from 'node:child_process';
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ScanOptions, scan } from '../../../src/sync/scan.ts';
import { temporaryFolder, writeTree } from '../../support/tree.ts';

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder('scan');
});
afterEach(() => folder.remove());

const look = (options: Partial<ScanOptions> = {}) => scan({ from: folder.path, to: '', ignore: { exclude: [], globalExcludes: null }, never: [], ...options });

describe('scan', () => {
  it('lists parents before children, in order, with what matters of each', () => {
    writeTree(folder.path, { 'b/x': { text: 'four', mode: 0o755 }, a: 'a', 'b-c': '', l: { target: 'b/x' }, 'e/': { mode: 0o700 } });
    expect(look().found.map(({ path, kind }) => `${kind} ${path}`)).toEqual(['file a', 'dir b', 'file b/x', 'file b-c', 'dir e', 'link l']);
    expect(look().found).toContainEqual(expect.objectContaining({ path: 'b/x', mode: 0o755, size: 4, absolute: join(folder.path, 'b/x') }));
  });

  it('puts data below its target, without ignore rules', () => {
    writeTree(folder.path, { '.gitignore': '*', x: '', '.git/HEAD': '' });
    expect(look({ to: 'data/pets', ignore: null }).found.map(({ path }) => path)).toEqual(['data/pets', 'data/pets/.gitignore', 'data/pets/x']);
    expect(look({ from: join(folder.path, 'x'), to: 'data/x', ignore: null }).found).toEqual([expect.objectContaining({ kind: 'file', path: 'data/x' })]);
  });

  it('follows the source itself when it is a link, and no link inside', () => {
    writeTree(folder.path, { 'real/a': '', 'real/self': { target: '.' }, via: { target: 'real' } });
    expect(look({ from: join(folder.path, 'via') }).found.map(({ path }) => path)).toEqual(['a', 'self']);
  });

  it('skips pipes and names that are not UTF-8, and says which', () => {
    writeTree(folder.path, { ok: '', '\uFFFD': '' });
    execFileSync('mkfifo', [join(folder.path, 'pipe')]);
    writeFileSync(Buffer.concat([Buffer.from(`${folder.path}/latin-`), Buffer.from([0xe9])]), '');
    const { found, warnings } = look();
    expect(found.map(({ path }) => path)).toEqual(['ok', '\uFFFD']);
    expect(warnings.toSorted()).toEqual([
      "latin-\uFFFD was skipped: its name isn't UTF-8; rename it to sync it",
      'pipe was skipped: it is neither a file, a folder nor a link',
    ]);
  });

  it('does not mention what is ignored anyway', () => {
    execFileSync('mkfifo', [join(folder.path, 'pipe')]);
    expect(look({ ignore: { exclude: ['pipe'], globalExcludes: null } }).warnings).toEqual([]);
  });

  it('counts links that lead out, in one warning', () => {
    writeTree(folder.path, { 'd/in': { target: '../d' }, 'd/out': { target: '../../x' }, abs: { target: '/etc' }, dots: { target: '..x' } });
    expect(look().warnings).toEqual(['2 links lead out of the synced folder and may lead nowhere on the machine: abs -> /etc, d/out -> ../../x']);
  });

  it('lists names that only look the same, and says so', () => {
    writeTree(folder.path, { 'd/caf\u00e9': '', 'd/cafe\u0301': '', 'd/Caf\u00e9': '', 'e/cafe\u0301': '' });
    const { found, warnings } = look();
    expect(found.filter(({ kind }) => kind === 'file')).toHaveLength(4);
    expect(warnings).toEqual([expect.stringMatching(/^d\/caf.* is there twice/)]);
    expect(look({ ignore: { exclude: ['cafe\u0301'], globalExcludes: null } }).warnings).toEqual([]);
  });

  it('never lists what must not be sent, also behind a link to the source', () => {
    writeTree(folder.path, { 'p/home/key': 'k', 'p/a': '' });
    symlinkSync('p', join(folder.path, 'q'));
    expect(look({ from: join(folder.path, 'q'), never: [join(folder.path, 'q', 'home')] }).found.map(({ path }) => path)).toEqual(['a']);
  });

  it('says what is wrong with a source', () => {
    writeTree(folder.path, { file: '' });
    execFileSync('mkfifo', [join(folder.path, 'pipe')]);
    const refused = (options: Partial<ScanOptions>) => expect(() => look(options)).toThrow(expect.objectContaining({ code: 'bad-input' }));
    refused({ from: join(folder.path, 'nothing') });
    refused({ from: join(folder.path, 'file') });
    refused({ from: join(folder.path, 'file', 'below'), to: 'x', ignore: null });
    refused({ from: join(folder.path, 'pipe'), to: 'x', ignore: null });
  });

  it.skipIf(process.getuid?.() !== 0)('names what this user may not read', () => {
    writeTree(folder.path, { ok: '', 'locked/': { mode: 0o700 }, 'ignored/': { mode: 0o700 }, 'open/deep/': { mode: 0o700 } });
    execFileSync('chmod', ['755', folder.path]);
    const script = `const { scan } = await import(${JSON.stringify(new URL('../../../src/sync/scan.ts', import.meta.url).href)});
      process.setgid(65534);
      process.setuid(65534);
      console.log(JSON.stringify(scan({ from: ${JSON.stringify(folder.path)}, to: '', ignore: { exclude: ['ignored/'], globalExcludes: null }, never: [] }).unreadable));`;
    const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', cwd: '/' });
    expect(run.stdout.trim()).toBe('["locked","open/deep"]');
  });
});
