/** Rules about names, sizes and the use of the process that the import rules don't cover. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, extname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const repository = join(import.meta.dirname, '..', '..');
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '--deduplicate'], { cwd: repository, encoding: 'utf8' })
  .trimEnd()
  .split('\n')
  .filter((file) => !file.startsWith('test/boundaries/planted/'));

const vague = ['utils', 'util', 'helpers', 'helper', 'common', 'misc', 'shared', 'types', 'constants', 'service', 'services', 'manager', 'handler', 'handlers'];
const notOurs = ['cluster', 'workspace', 'instance', 'agent', 'session'];

test('no file or folder has a name that says nothing, or a word that means something else here', () => {
  const parts = files.flatMap((file) => [basename(file, extname(file)), ...dirname(file).split('/')].map((part) => ({ file, part })));
  const bad = parts.filter(({ file, part }) => {
    const words = part.toLowerCase().split(/[-.]/);
    return words.some((word) => vague.includes(word) || (notOurs.includes(word) && !file.includes('providers/gcp')));
  });
  expect(bad).toEqual([]);
});

test('no source file is longer than 300 lines', () => {
  const sources = files.filter((file) => /^(src|remote-runner|bin|scripts|bench)\/.*\.(ts|js)$/.test(file));
  expect(sources.length).toBeGreaterThan(50);
  const lengths = sources.map((file) => ({ file, lines: readFileSync(join(repository, file), 'utf8').split('\n').length - 1 }));
  expect(lengths.filter(({ lines }) => lines > 300)).toEqual([]);
});

test('a command is at most 100 lines: it calls workflows', () => {
  const commands = files.filter((file) => file.startsWith('src/cli/commands/'));
  const lengths = commands.map((file) => ({ file, lines: readFileSync(join(repository, file), 'utf8').split('\n').length - 1 }));
  expect(lengths.filter(({ lines }) => lines > 100)).toEqual([]);
});

describe('only the command line prints, exits and reads the environment', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'gpu-run-lint-'));
    for (const name of ['biome.json', '.gitignore', 'scripts/lint']) cpSync(join(repository, name), join(root, name), { recursive: true });
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const uses = [
    "console.log('x');",
    "export const value = process.env['X'];",
    'export const value = process.cwd();',
    'process.exit(1);',
    'process.exitCode = 1;',
    "process.stdout.write('x');",
    "process.stderr.write('x');",
    'export const value = process.argv;',
    "process.on('exit', () => {});",
    "export const value = process['env'];",
    "import { env } from 'node:process';\nexport const value = env;",
    'export const { pid } = globalThis.process;',
  ];

  test.each(uses)('%s is refused in src/core, and allowed in src/cli', (use) => {
    expect(lint('src/core/planted.ts', use)).toBe(1);
    expect(lint('src/cli/planted.ts', use)).toBe(0);
  });

  test('what a process may know of itself is allowed anywhere', () => {
    expect(lint('src/core/planted.ts', 'export const known = [process.pid, process.platform, process.execPath, process.kill];')).toBe(0);
  });

  function lint(file: string, source: string): number | null {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), `${source}\n`);
    const biome = join(repository, 'node_modules', '@biomejs', 'biome', 'bin', 'biome');
    return spawnSync(process.execPath, [biome, 'lint', file], { cwd: root }).status;
  }
});
