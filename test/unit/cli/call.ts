/** Calls of the command line as processes, each test with a folder and a state folder of its own. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const entry = join(import.meta.dirname, 'from-sources.ts');

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
}

export function createPlace(): Place {
  const root = mkdtempSync(join(tmpdir(), 'gpu-run-cli-'));
  const folder = join(root, 'cats');
  const home = join(root, 'home');
  mkdirSync(folder);
  const call: Place['call'] = (argv, extra = {}, nodeFlags = []) => {
    const env = { PATH: process.env['PATH'], HOME: root, GPU_RUN_HOME: home, ...extra };
    const child = spawn(process.execPath, [...nodeFlags, entry, ...argv], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => resolve({ code, stdout, stderr, document: parseLast(stdout) }));
    });
  };
  return { folder, home, call, [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }) };
}

function parseLast(stdout: string): Answer['document'] {
  const last = stdout.trimEnd().split('\n').at(-1) ?? '';
  return last.startsWith('{') ? JSON.parse(last) : null;
}
