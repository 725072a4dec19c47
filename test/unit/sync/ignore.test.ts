import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { globalExcludesFile } from '../../../src/sync/git.ts';
import { scan } from '../../../src/sync/scan.ts';
import { type Tree, temporaryFolder, writeTree } from '../../support/tree.ts';

// The rules of whoever runs the tests must not count.
beforeAll(() => {
  vi.stubEnv('GIT_CONFIG_GLOBAL', '/dev/null');
  vi.stubEnv('GIT_CONFIG_SYSTEM', '/dev/null');
});
afterAll(() => {
  vi.unstubAllEnvs();
});

let folder: ReturnType<typeof temporaryFolder>;
const git = (...argv: string[]) =>
  execFileSync('git', ['-C', folder.path, '-c', 'init.defaultBranch=main', ...argv], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

function taken(options: { from?: string; exclude?: string[]; globalExcludes?: string | null } = {}): string[] {
  const { from = folder.path, exclude = [], globalExcludes = null } = options;
  return scan({ from, to: '', ignore: { exclude, globalExcludes }, never: [] }).found.map(({ path, kind }) => (kind === 'dir' ? `${path}/` : path));
}

describe('ignore rules in a repository', () => {
  beforeEach(() => {
    folder = temporaryFolder('ignore');
    git('init', '--quiet');
  });
  afterEach(() => folder.remove());

  it('tracked files are never ignored, their untracked neighbours are', () => {
    writeTree(folder.path, { 'build/kept.bin': 'x', 'build/junk.bin': 'y', 'build/sub/t': 't', 'build/sub/u': 'u', 'a.log': '', 'b.log': '' });
    git('add', 'build/kept.bin', 'build/sub/t', 'a.log');
    writeTree(folder.path, { '.gitignore': 'build/\n*.log\n' });
    expect(taken()).toEqual(['.gitignore', 'a.log', 'build/', 'build/kept.bin', 'build/sub/', 'build/sub/t']);
  });

  it('.gpurunignore overrides .gitignore, both ways and at all levels', () => {
    writeTree(folder.path, {
      '.gitignore': 'data/\n*.ckpt\n',
      '.gpurunignore': '!data/\n!*.ckpt\nnotes/\ntracked.txt\n',
      'data/x': '',
      'm.ckpt': '',
      'notes/n': '',
      'tracked.txt': '',
      'deep/.gpurunignore': '*.ckpt\n!keep.ckpt\n',
      'deep/a.ckpt': '',
      'deep/keep.ckpt': '',
    });
    git('add', '-f', 'tracked.txt');
    expect(taken()).toEqual(['.gitignore', '.gpurunignore', 'data/', 'data/x', 'deep/', 'deep/.gpurunignore', 'deep/keep.ckpt', 'm.ckpt']);
  });

  it("the config's exclude has the last word", () => {
    writeTree(folder.path, { '.gpurunignore': '!runs/\n', 'runs/a': '', 'x/runs/b': '', c: '' });
    expect(taken({ exclude: ['runs/', '/c'] })).toEqual(['.gpurunignore', 'x/']);
    expect(taken({ exclude: ['/runs/'] })).toEqual(['.gpurunignore', 'c', 'x/', 'x/runs/', 'x/runs/b']);
  });

  it('a folder below the top of the repository follows the rules above it', () => {
    writeTree(folder.path, {
      '.gitignore': '*.tmp\n/app/out/\nother/sub\n',
      'app/out/x': '',
      'app/a.tmp': '',
      'app/b': '',
      'app/sub/out/y': '',
      'app/t.tmp': '',
    });
    git('add', '-f', 'app/t.tmp');
    expect(taken({ from: join(folder.path, 'app') })).toEqual(['b', 'sub/', 'sub/out/', 'sub/out/y', 't.tmp']);
  });

  it('a repository that ignores the synced folder as a whole has no say in it', () => {
    writeTree(folder.path, { '.gitignore': '*\n', 'project/.gitignore': '*.o\n', 'project/a.c': '', 'project/a.o': '' });
    expect(taken({ from: join(folder.path, 'project') })).toEqual(['.gitignore', 'a.c']);
  });

  it('a repository inside starts its own rules', () => {
    writeTree(folder.path, { '.gitignore': '*.x\n', 'inner/a.x': '', 'inner/b.y': '', 'inner/c.z': '', 'inner/t.y': '', 'outer.x': '' });
    execFileSync('git', ['init', '--quiet', join(folder.path, 'inner')]);
    writeTree(folder.path, { 'inner/.gitignore': '*.y\n', 'inner/.git/info/exclude': 'c.z\n' });
    execFileSync('git', ['-C', join(folder.path, 'inner'), 'add', '-f', 't.y']);
    expect(taken()).toEqual(['.gitignore', 'inner/', 'inner/.gitignore', 'inner/a.x', 'inner/t.y']);
  });

  it('info/exclude and the global file count; a worktree finds them too', () => {
    const globalExcludes = join(folder.path, '.git', 'global');
    writeTree(folder.path, { '.git/info/exclude': '*.i\n', '.git/global': '*.g\n!x.i\n', 'a.i': '', 'x.i': '', 'a.g': '', b: '' });
    expect(taken({ globalExcludes })).toEqual(['b']);
    git('add', 'b');
    git('-c', 'user.name=n', '-c', 'user.email=e@x', 'commit', '--quiet', '-m', 'b');
    git('worktree', 'add', '--quiet', join(folder.path, 'tree'));
    writeTree(folder.path, { 'tree/c.i': '', 'tree/c.g': '', 'tree/d': '' });
    expect(taken({ from: join(folder.path, 'tree'), globalExcludes })).toEqual(['b', 'd']);
  });

  it('a .gitignore that is a link is no .gitignore, as in git', () => {
    writeTree(folder.path, { rules: '*.x\n', 'a.x': '' });
    symlinkSync('rules', join(folder.path, '.gitignore'));
    expect(taken()).toEqual(['.gitignore', 'a.x', 'rules']);
  });

  it('names differ by case', () => {
    writeTree(folder.path, { '.gitignore': 'Makefile\n', Makefile: '', makefile: '' });
    expect(taken()).toEqual(['.gitignore', 'makefile']);
  });

  it('a repository that git refuses to read gives a warning, and files still decide', () => {
    writeTree(folder.path, { '.gitignore': '*.x\n', 'a.x': '', b: '' });
    writeFileSync(join(folder.path, '.git', 'config'), '[broken');
    const { found, warnings } = scan({ from: folder.path, to: '', ignore: { exclude: [], globalExcludes: null }, never: [] });
    expect(found.map(({ path }) => path)).toEqual(['.gitignore', 'b']);
    expect(warnings).toEqual([expect.stringContaining("git can't say which ignored files")]);
  });

  it('finds the global file where git has it', () => {
    expect(globalExcludesFile(folder.path, '/nowhere')).toBe('/nowhere/git/ignore');
    git('config', 'core.excludesFile', '/some/where');
    expect(globalExcludesFile(folder.path)).toBe('/some/where');
  });
});

it('without a repository .gitignore files hold all the same', () => {
  folder = temporaryFolder('plain');
  try {
    writeTree(folder.path, { '.gitignore': '*.x\n', 'a.x': '', 'd/.gitignore': '!b.x\n', 'd/b.x': '', 'd/c.x': '' });
    expect(taken()).toEqual(['.gitignore', 'd/', 'd/.gitignore', 'd/b.x']);
  } finally {
    folder.remove();
  }
});

describe('against git check-ignore', () => {
  beforeAll(() => {
    folder = temporaryFolder('check-ignore');
    git('init', '--quiet');
    rmSync(join(folder.path, '.git', 'info'), { recursive: true, force: true });
  });
  afterAll(() => folder.remove());

  const name = fc.oneof(
    fc.constantFrom(
      'a',
      'b',
      'ab',
      'a.b',
      'A',
      'foo',
      'foobar',
      'a b',
      ' ',
      'x ',
      '#a',
      '!a',
      '[a]',
      '-',
      ']',
      'é',
      '\\',
      'a\\b',
      '*',
      'a*b',
      '0',
      '_',
      'ab\tc',
    ),
    fc.string({ unit: fc.constantFrom('a', 'b', '.', '-', ' '), minLength: 1, maxLength: 3 }).filter((text) => text !== '.' && text !== '..'),
  );
  const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
  const atom = fc.oneof(
    name,
    fc.constantFrom(
      '*',
      '**',
      '***',
      '?',
      '/',
      '/**/',
      '**/',
      '/**',
      '[ab]',
      '[!a]',
      '[^b]',
      '[a-c]',
      '[',
      '[]',
      '[]a]',
      '[!]a]',
      '[a-',
      '[[:alpha:]]',
      '[[:space:]b]',
      '[[:nope:]]',
      '[\\]]',
      '[a\\-b]',
      '\\',
      '\\*',
      '\\a',
      '\\ ',
      ' ',
      '!',
      '#',
      'a*',
      '*b',
      '[é]',
      '[b-a]',
      '[[:digit:]-z]',
      '[/]',
      '[[:punct:]]',
      '[[a]',
    ),
  );
  const line = fc
    .tuple(
      fc.constantFrom('', '', '', '!', '/', '#', '\\!', '\\#', '!/'),
      fc.array(atom, { minLength: 1, maxLength: 5 }),
      fc.constantFrom('', '', '', '/', ' ', '  ', '\\ ', '\r', '/ ', '/**', '\t'),
    )
    .map(([start, atoms, end]) => `${start}${atoms.join('')}${end}`);
  const rules = fc.tuple(fc.array(line, { maxLength: 6 }), fc.constantFrom('\n', '')).map(([lines, end]) => lines.join('\n') + end);

  /** What git doesn't ignore, folders with a slash. */
  function wantedByGit(paths: readonly string[]): string[] {
    const input = paths.map((path) => `${path.replace(/\/$/, '')}\0`).join('');
    const argv = ['-C', folder.path, '-c', 'core.excludesFile=', 'check-ignore', '-z', '--stdin', '-v', '-n'];
    const { status, stdout, stderr } = spawnSync('git', argv, { input, encoding: 'utf8' });
    if (status !== 0 && status !== 1) throw new Error(stderr);
    const fields = stdout.split('\0');
    return paths.filter((_, index) => fields[index * 4 + 2] === '' || fields[index * 4 + 2]?.startsWith('!'));
  }

  function wipe(): void {
    execFileSync('find', [folder.path, '-mindepth', '1', '-maxdepth', '1', '!', '-name', '.git', '-exec', 'rm', '-rf', '{}', '+']);
  }

  function all(inside: string): string[] {
    return scan({ from: inside, to: '', ignore: null, never: [] }).found.map(({ path, kind }) => (kind === 'dir' ? `${path}/` : path));
  }

  it('decides the same for generated patterns and trees', () => {
    fc.assert(
      fc.property(fc.array(path, { minLength: 1, maxLength: 12 }), rules, fc.option(rules), fc.option(rules), (paths, top, deeper, info) => {
        wipe();
        for (const each of paths) tryWrite(each);
        writeFileSync(join(folder.path, '.gitignore'), top);
        const first = all(folder.path).find((each) => each.endsWith('/'));
        if (deeper !== null && first !== undefined) writeFileSync(join(folder.path, first, '.gitignore'), deeper);
        mkdirSync(join(folder.path, '.git', 'info'), { recursive: true });
        writeFileSync(join(folder.path, '.git', 'info', 'exclude'), info ?? '');
        expect(taken()).toEqual(wantedByGit(all(folder.path)));
      }),
      { numRuns: 200 },
    );
  }, 120_000);

  function tryWrite(path: string): void {
    try {
      writeTree(folder.path, { [path]: '' } satisfies Tree);
    } catch {
      // a file is where it needs a folder
    }
  }
});
