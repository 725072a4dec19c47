/** A user's project in a temp folder with a state folder of its own, and the command line run as a process, as a user would. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../../src/core/clock.ts';
import { openSqliteLedger } from '../../../src/ledger/sqlite-ledger.ts';

const repository = fileURLToPath(new URL('../../..', import.meta.url));
const launcher = join(repository, 'bin', 'run.js');

/** What `gpu-run.yaml` says about where machines come from, and what the target takes to set up. */
export interface Target {
  readonly label: string;
  /** Lines of YAML, added to each test's own. */
  readonly config: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Words before each command line: a program that runs it elsewhere. */
  readonly within?: readonly string[];
}

export interface Run {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly text: string;
  readonly stderr: string;
}

export interface Started {
  readonly child: ChildProcess;
  readonly done: Promise<Run>;
  /** stdout so far. */
  readonly output: () => Buffer;
  readonly errors: () => string;
}

export interface Project extends AsyncDisposable {
  /** The machine's name, as it follows from the folder's. */
  readonly name: string;
  readonly folder: string;
  readonly home: string;
  write(path: string, content: string | Uint8Array, mode?: number): void;
  read(path: string): Buffer;
  /** Runs `gpu-run ARGS` to its end. */
  run(args: readonly string[], options?: RunOptions): Promise<Run>;
  start(args: readonly string[], options?: RunOptions): Started;
  /** The `--json` document: the last line of stdout. */
  json(args: readonly string[], options?: RunOptions): Promise<{ readonly run: Run; readonly document: any }>;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: string;
}

/** The folder's name, and so the machine's, is unlike any other's: tests in other processes are never taken for this one. */
export function createProject(target: Target, yaml = '', name = `probe-${Math.random().toString(36).slice(2, 10)}`): Project {
  const root = mkdtempSync(join(tmpdir(), 'gpu-run-e2e-'));
  const folder = join(root, name);
  const home = join(root, 'home');
  mkdirSync(folder);
  writeFileSync(join(folder, 'gpu-run.yaml'), `${target.config}\n${yaml}\n`);
  const env = (extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv => ({
    PATH: process.env['PATH'],
    HOME: join(root, 'user'),
    LANG: 'C.UTF-8',
    GPU_RUN_HOME: home,
    GPU_RUN_LINK: '0',
    METADATA_SERVER_DETECTION: 'none',
    GPU_RUN_NODE_MIRROR: 'off',
    ...target.env,
    ...extra,
  });
  mkdirSync(join(root, 'user'));

  const start = (args: readonly string[], options: RunOptions = {}): Started => {
    const [program = '', ...words] = [...(target.within ?? []), process.execPath, launcher, ...args];
    const child = spawn(program, words, {
      cwd: options.cwd ?? folder,
      env: env(options.env),
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
    if (options.input !== undefined) child.stdin?.end(options.input);
    const done = new Promise<Run>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) => {
        const stdout = Buffer.concat(out);
        resolve({ code, signal, stdout, text: stdout.toString(), stderr: Buffer.concat(err).toString() });
      });
    });
    return { child, done, output: () => Buffer.concat(out), errors: () => Buffer.concat(err).toString() };
  };
  const run = (args: readonly string[], options?: RunOptions) => start(args, options).done;

  return {
    name,
    folder,
    home,
    write: (path, content, mode) => {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), content);
      if (mode !== undefined) chmodSync(join(folder, path), mode);
    },
    read: (path) => readFileSync(join(folder, path)),
    run,
    start,
    json: async (args, options) => {
      // Words behind `--` belong to the job.
      const at = args.indexOf('--');
      const withJson = at < 0 ? [...args, '--json'] : [...args.slice(0, at), '--json', ...args.slice(at)];
      const result = await run(withJson, options);
      const last = result.text.trimEnd().split('\n').at(-1) ?? '';
      try {
        return { run: result, document: JSON.parse(last) };
      } catch {
        const lines = result.text.trim();
        try {
          return { run: result, document: JSON.parse(lines) };
        } catch {
          throw new Error(`no JSON document on stdout (exit ${result.code}): ${lines.slice(-500)}\nstderr: ${result.stderr.slice(-1000)}`);
        }
      }
    },
    [Symbol.asyncDispose]: async () => {
      if (target.within !== undefined || hasLiveMachines(join(home, 'ledger.sqlite'))) {
        const ended = await run(['down', '--all', '--yes']);
        if (ended.code !== 0) console.error(`down --all --yes ended with ${ended.code}: ${ended.stderr}`);
      }
      rmSync(root, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Asked here, as a process for it would be a tenth of what these tests cost. */
function hasLiveMachines(file: string): boolean {
  if (!existsSync(file)) return false;
  const ledger = openSqliteLedger(file, systemClock);
  try {
    return ledger.list({ live: true }).length > 0;
  } finally {
    ledger.close();
  }
}

/** Waits for something that other processes bring about. */
export async function until<T>(look: () => T | Promise<T>, what: string, withinMs = 30_000): Promise<NonNullable<T>> {
  const end = Date.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found !== null && found !== undefined && found !== false) return found as NonNullable<T>;
    if (Date.now() > end) throw new Error(`waited ${withinMs} ms in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** Live processes whose environment or arguments hold `needle`. */
export function processesWith(needle: string): { readonly pid: number; readonly args: string }[] {
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) return [];
    try {
      const args = readFileSync(`/proc/${entry}/cmdline`, 'latin1').replaceAll('\0', ' ');
      const environment = readFileSync(`/proc/${entry}/environ`, 'latin1');
      const state = /\) (\S)/.exec(readFileSync(`/proc/${entry}/stat`, 'latin1'))?.[1];
      return state !== 'Z' && (args.includes(needle) || environment.includes(needle)) ? [{ pid: Number(entry), args }] : [];
    } catch {
      return [];
    }
  });
}

/** Processes of the runners on machines of that name. */
export function runnersOf(name: string, kind: 'serve' | 'connect' | 'watch'): number[] {
  return processesWith(`/machines/${name}-`).flatMap(({ pid, args }) => (args.includes(`runner.mjs ${kind} `) ? [pid] : []));
}
