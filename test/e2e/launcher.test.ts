/** `bin/run.js` in packages made for the purpose, started by this Node and, where the computer has one, by a Node that is too old. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { transform } from 'esbuild';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { until } from './suite/project.ts';

const repository = join(import.meta.dirname, '..', '..');
const oldNode = findOldNode();

let root: string;
const started: ChildProcess[] = [];
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'gpu-run-launcher-')));
  cpSync(join(repository, 'bin'), join(root, 'bin'), { recursive: true });
  writeFileSync(join(root, 'package.json'), '{ "version": "1.2.3", "type": "module" }');
  mkdirSync(join(root, 'dist'));
  mkdirSync(join(root, 'node_modules'));
  symlinkSync(join(repository, 'node_modules', 'node'), join(root, 'node_modules', 'node'));
  writeFileSync(join(root, 'dist', 'help.txt'), 'the help\n');
  program('throw new Error("started")');
});
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
  for (const pid of notes().flatMap((line) => /^pid (\d+)$/.exec(line)?.[1] ?? [])) end(Number(pid));
  rmSync(root, { recursive: true, force: true });
});

for (const node of [process.execPath, ...(oldNode === null ? [] : [oldNode])]) {
  describe(`started by ${node}`, () => {
    test.each([['--version'], ['-v']])('%s prints the version without starting anything', async (flag) => {
      expect(await run(node, [flag])).toMatchObject({ code: 0, stdout: 'gpu-run/1.2.3\n', stderr: '' });
    });

    test.each([[[]], [['--help']], [['-h']]])('%j prints the help without starting anything', async (args) => {
      expect(await run(node, args)).toMatchObject({ code: 0, stdout: 'the help\n', stderr: '' });
    });

    test('help of a command is a matter for the command line itself', async () => {
      program('console.log(process.argv.slice(2).join("|"))');
      expect(await run(node, ['train', '--help'])).toMatchObject({ code: 0, stdout: 'train|--help\n' });
    });

    test('arguments, input, output and exit code go through as they are', async () => {
      program('console.error(JSON.stringify(process.argv.slice(2))); process.stdin.pipe(process.stdout).on("unpipe", () => { process.exitCode = 37; })');
      const args = ['', 'a b', '--', '-x', '$HOME', "it's", 'ü\n'];
      expect(await run(node, args, { input: 'in\0put' })).toMatchObject({ code: 37, stdout: 'in\0put', stderr: `${JSON.stringify(args)}\n` });
    });

    test('a program that a signal ends: ended by the same signal', async () => {
      program('process.kill(process.pid, "SIGKILL"); setInterval(() => {}, 1000)');
      expect(await run(node, ['x'])).toMatchObject({ code: null, signal: 'SIGKILL' });
    });

    test('what the launcher sets for itself is not left in the environment', async () => {
      program('console.log(Object.keys(process.env).filter((name) => /RELAUNCH|CHANNEL/.test(name)).join())');
      expect(await run(node, ['x'])).toMatchObject({ code: 0, stdout: '\n' });
    });

    test('a damaged build: exit code 70, and what is wrong', async () => {
      program('import "./missing.js"');
      const damaged = await run(node, ['x']);
      expect(damaged.code).toBe(70);
      expect(damaged.stderr).toContain('missing.js');
    });

    test('not built: exit code 70, and how to build', async () => {
      rmSync(join(root, 'dist'), { recursive: true });
      const missing = await run(node, ['--help']);
      expect(missing.code).toBe(70);
      expect(missing.stderr).toContain('npm run build');
    });

    test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s to the launcher alone arrives once', async (signal) => {
      const child = await startCounter(node);
      child.kill(signal);
      expect(await arrivals(child, signal, 1)).toBe(1);
    });

    test('Ctrl-C, which reaches launcher and program, arrives once, and a second time once more', async () => {
      const child = await startCounter(node);
      process.kill(-child.pid!, 'SIGINT');
      expect(await arrivals(child, 'SIGINT', 1)).toBe(1);
      process.kill(-child.pid!, 'SIGINT');
      expect(await arrivals(child, 'SIGINT', 2)).toBe(2);
    });

    test('a program that does not listen is ended by the signal', async () => {
      program(`${note('pid')}; setInterval(() => {}, 1000)`);
      const child = start(node, ['x']);
      await until(() => notes().length > 0, 'the program');
      child.kill('SIGTERM');
      expect(await ended(child)).toEqual({ code: null, signal: 'SIGTERM' });
    });
  });
}

describe.skipIf(oldNode === null)('started by a Node that is too old', () => {
  const node = oldNode ?? '';

  test('the program runs under the Node that the package brings', async () => {
    program('console.log(process.versions.node.split(".")[0] >= 24)');
    expect(await run(node, ['x'])).toMatchObject({ code: 0, stdout: 'true\n' });
  });

  test('the launcher is killed: the program is told as if the terminal were closed', async () => {
    const child = await startCounter(node);
    child.kill('SIGKILL');
    await until(() => notes().includes('SIGHUP'), 'SIGHUP');
  });

  test('no newer Node at hand: exit code 78, which one is needed and how to get it', async () => {
    rmSync(join(root, 'node_modules', 'node'));
    const refused = await run(node, ['x']);
    expect(refused.code).toBe(78);
    expect(refused.stderr).toMatch(/needs Node 24 or newer, and this is Node \d+/);
    expect(refused.stderr).toContain('npm install node@24');
  });

  test('the Node at hand is too old as well: exit code 78', async () => {
    rmSync(join(root, 'node_modules', 'node'));
    fakeNodePackage('22.0.0');
    expect((await run(node, ['x'])).code).toBe(78);
  });

  test('a Node that claims to be newer and is not: exit code 78, and no endless chain', async () => {
    rmSync(join(root, 'node_modules', 'node'));
    fakeNodePackage('24.0.0');
    symlinkSync(node, join(root, 'node_modules', 'node', 'bin', 'node'));
    expect((await run(node, ['x'])).code).toBe(78);
  });
});

test('compiled code is kept inside the package', async () => {
  program('console.log("ran")');
  await run(process.execPath, ['x']);
  expect(existsSync(join(root, 'node_modules', '.cache', 'gpu-run'))).toBe(true);
});

test('a reader that leaves early: no complaint', () => {
  const script = `set -o pipefail; ("$0" "$1" --help; echo "code $?" >&2) 2>"$2" | true`;
  execFileSync('bash', ['-c', script, process.execPath, join(root, 'bin', 'run.js'), join(root, 'stderr')]);
  expect(readFileSync(join(root, 'stderr'), 'utf8')).toBe('code 0\n');
});

test('the launcher is written in JavaScript that Node 12 reads', async () => {
  const source = readFileSync(join(repository, 'bin', 'run.js'), 'utf8');
  const printed = async (target: string) => (await transform(source, { target, supported: { 'dynamic-import': true } })).code;
  expect(await printed('node12')).toBe(await printed('esnext'));
});

/** What the launcher starts. */
function program(source: string): void {
  writeFileSync(join(root, 'dist', 'main.js'), source);
}

/** Source text that adds a line to a file which `notes` reads: unlike a pipe it outlives the launcher. */
function note(what: 'pid' | 'signal'): string {
  const line = what === 'pid' ? `'pid ' + process.pid` : 'signal';
  return `(await import('node:fs')).appendFileSync(${JSON.stringify(join(root, 'notes'))}, ${line} + '\\n')`;
}

function notes(): string[] {
  const file = join(root, 'notes');
  return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : [];
}

/** A program that notes the signals it gets and ends on none of them, in a process group of its own. */
async function startCounter(node: string): Promise<ChildProcess> {
  program(`for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, async () => { ${note('signal')} });
    ${note('pid')}; setInterval(() => {}, 1000)`);
  const child = start(node, ['x'], { detached: true });
  await until(() => notes().length > 0, 'the program');
  return child;
}

/**
 * How often `signal` was noted, after at least `least` times. A second one that the launcher passed on would come late: another signal
 * goes the same way behind it, and once that has arrived, nothing is on its way any more.
 */
async function arrivals(child: ChildProcess, signal: NodeJS.Signals, least: number): Promise<number> {
  const count = (name: string) => notes().filter((line) => line === name).length;
  await until(() => count(signal) >= least, signal);
  const behind = signal === 'SIGTERM' ? 'SIGHUP' : 'SIGTERM';
  const before = count(behind);
  child.kill(behind);
  await until(() => count(behind) > before, behind);
  return count(signal);
}

function start(node: string, args: readonly string[], options: { detached?: boolean } = {}): ChildProcess {
  const child = spawn(node, [join(root, 'bin', 'run.js'), ...args], { stdio: 'pipe', ...options });
  started.push(child);
  return child;
}

async function run(node: string, args: readonly string[], options: { input?: string } = {}) {
  const child = start(node, args);
  const text = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) child[stream]?.setEncoding('utf8').on('data', (chunk: string) => (text[stream] += chunk));
  child.stdin?.end(options.input ?? '');
  return { ...(await ended(child)), ...text };
}

function ended(child: ChildProcess): Promise<{ code: number | null; signal: string | null }> {
  return new Promise((resolve, reject) => child.on('error', reject).on('close', (code, signal) => resolve({ code, signal })));
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it has ended
  }
}

function fakeNodePackage(version: string): void {
  mkdirSync(join(root, 'node_modules', 'node', 'bin'), { recursive: true });
  writeFileSync(join(root, 'node_modules', 'node', 'package.json'), JSON.stringify({ name: 'node', version }));
}

/** A Node below 24 on this computer, or null. */
function findOldNode(): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/bin', '/usr/local/bin'];
  const found = folders.map((folder) => join(folder, 'node')).filter((file) => existsSync(file));
  return found.find((file) => Number(execFileSync(file, ['-p', 'process.versions.node.split(".")[0]'], { encoding: 'utf8' })) < 24) ?? null;
}
