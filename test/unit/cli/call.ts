/** Calls of the command line as processes, each test with a folder and a state folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const entry = join(import.meta.dirname, 'from-sources.ts');
/** Kept from run to run: without it each call strips the types of all sources anew, which is most of what it costs. */
const compiled = join(import.meta.dirname, '../../../node_modules/.cache/gpu-run-sources');

export interface Answer {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The last line of stdout. */
  readonly document: Record<string, unknown> | null;
}

export interface Place extends Disposable {
  readonly folder: string;
  readonly home: string;
  call(argv: readonly string[], env?: Readonly<Record<string, string>>, nodeFlags?: readonly string[]): Promise<Answer>;
  start(argv: readonly string[], env?: Readonly<Record<string, string>>, nodeFlags?: readonly string[]): Started;
}

export interface Started {
  readonly child: ChildProcess;
  readonly answer: Promise<Answer>;
  /** Resolves when stderr holds these words; fails when the process ends without them. */
  says(words: string): Promise<void>;
}

export function createPlace(): Place {
  const root = mkdtempSync(join(tmpdir(), 'gpu-run-cli-'));
  const folder = join(root, 'cats');
  const home = join(root, 'home');
  mkdirSync(folder);
  const running = new Set<ChildProcess>();
  const start: Place['start'] = (argv, extra = {}, nodeFlags = []) => {
    const env = { PATH: process.env['PATH'], HOME: root, GPU_RUN_HOME: home, GPU_RUN_LINK: '0', NODE_COMPILE_CACHE: compiled, ...extra };
    const { STDERR: elsewhere } = extra; // a file for it
    const err = elsewhere === undefined ? null : openSync(elsewhere, 'w');
    const child = spawn(process.execPath, [...nodeFlags, entry, ...argv], { cwd: folder, env, stdio: ['ignore', 'pipe', err ?? 'pipe'] });
    if (err !== null) closeSync(err);
    running.add(child);
    let stdout = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const answer = new Promise<Answer>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => {
        running.delete(child);
        resolve({ code, stdout, stderr, document: parseLast(stdout) });
      });
    });
    const says = (words: string) =>
      new Promise<void>((resolve, reject) => {
        const look = () => stderr.includes(words) && resolve();
        child.stderr?.on('data', look);
        child.on('close', () => reject(new Error(`ended without saying '${words}': ${stderr}`)));
        look();
      });
    return { child, answer, says };
  };
  return {
    folder,
    home,
    start,
    call: (...args) => start(...args).answer,
    [Symbol.dispose]: () => {
      for (const child of running) child.kill('SIGKILL');
      rmSync(root, { recursive: true, force: true });
    },
  };
}

function parseLast(stdout: string): Answer['document'] {
  const last = stdout.trimEnd().split('\n').at(-1) ?? '';
  return last.startsWith('{') ? JSON.parse(last) : null;
}
