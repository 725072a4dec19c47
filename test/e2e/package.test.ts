/** The package as npm packs it, installed into a project that has nothing else, without a network. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const repository = join(import.meta.dirname, '..', '..');

let root: string;
let project: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'gpu-run-package-'));
  project = join(root, 'project');
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module', overrides: withoutContent() }));
  // The tests run on a build already: packing would only repeat it.
  npm(repository, 'pack', '--ignore-scripts', '--pack-destination', root);
  npm(
    project,
    'install',
    '--offline',
    ...readdirSync(root)
      .filter((name) => name.endsWith('.tgz'))
      .map((name) => join(root, name)),
  );
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

test('it brings the client of Google alone, and works without it', () => {
  const installed = readdirSync(join(project, 'node_modules')).filter((name) => !name.startsWith('.'));
  expect(installed.sort()).toEqual(['@google-cloud', 'google-auth-library', 'gpu-run']);
  expect(readdirSync(join(project, 'node_modules', '@google-cloud'))).toEqual(['compute']);
});

test('it holds what it needs and nothing of how it is made', () => {
  const installed = join(project, 'node_modules', 'gpu-run');
  expect(readdirSync(installed).sort()).toEqual(
    ['CHANGELOG.md', 'LICENSE', 'README.md', 'bin', 'dist', 'examples', 'oclif.manifest.json', 'package.json', 'schema', 'templates'].sort(),
  );
  expect(existsSync(join(installed, 'dist', 'runner.mjs'))).toBe(true);
});

test('the command works', () => {
  expect(gpuRun('--version')).toMatch(/^gpu-run\/\d+\.\d+\.\d+\n$/);
  expect(gpuRun('--help')).toContain('train');
  expect(
    gpuRun('--help')
      .split('\n')
      .filter((line) => line.length > 80),
  ).toEqual([]);
  expect(JSON.parse(gpuRun('status', '--json'))).toMatchObject({ schema: 1, command: 'status', outcome: 'ok', machines: [] });
  expect(gpuRun('templates')).toContain('local');
});

test('programs can be written against it, types included', () => {
  writeFileSync(
    join(project, 'program.ts'),
    `import { createGpuRun, type JobEvent } from 'gpu-run';
import { createFakeProvider } from 'gpu-run/testing';
const gpuRun = createGpuRun({ home: ${JSON.stringify(join(root, 'home'))} });
const lost: JobEvent[] = [];
// @ts-expect-error no such option
const refused = () => gpuRun.up({ nonsense: 1 });
console.log(JSON.stringify({ machines: (await gpuRun.status()).machines, lost, types: [typeof createFakeProvider, typeof refused] }));
`,
  );
  const types = join(repository, 'node_modules', '@types');
  writeFileSync(
    join(project, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        target: 'es2024',
        lib: ['es2024', 'esnext.disposable'],
        module: 'nodenext',
        strict: true,
        noEmit: true,
        types: ['node'],
        typeRoots: [types],
      },
      files: ['program.ts'],
    }),
  );
  run(project, process.execPath, join(repository, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', '.');
  expect(JSON.parse(run(project, process.execPath, 'program.ts'))).toEqual({ machines: [], lost: [], types: ['function', 'function'] });
});

/** What it depends on, as packages that hold nothing: there is no network, and no command below may load them. */
function withoutContent(): Record<string, string> {
  const { dependencies } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as { dependencies: Record<string, string> };
  return Object.fromEntries(
    Object.entries(dependencies).map(([name, range]) => {
      const folder = join(root, 'empty', name);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, version: range.replace(/^\D/, '') }));
      return [name, `file:${folder}`];
    }),
  );
}

function gpuRun(...words: string[]): string {
  return run(project, process.execPath, join(project, 'node_modules', 'gpu-run', 'bin', 'run.js'), ...words);
}

function npm(folder: string, ...words: string[]): void {
  run(folder, 'npm', ...words, '--loglevel=error', '--no-audit', '--no-fund', '--no-update-notifier');
}

/** stdout; a failure shows all that was said. */
function run(folder: string, command: string, ...words: string[]): string {
  const env = { PATH: process.env['PATH'], HOME: root, GPU_RUN_HOME: join(root, 'home'), GPU_RUN_LINK: '0', NO_COLOR: '1', NODE_NO_WARNINGS: '1' };
  return execFileSync(command, words, { cwd: folder, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
