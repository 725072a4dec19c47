/** Runs an example in a folder of its own, as a user would: a copy, so that nothing is written into the repository. */
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { onTestFinished } from 'vitest';

const repository = join(import.meta.dirname, '../../..');

export const exampleFolder = (name: string) => join(repository, 'examples', name);

/** Gone when the test is. */
export function copyExample(name: string): string {
  const parent = mkdtempSync(join(tmpdir(), 'gpu-run-example-'));
  onTestFinished(() => rmSync(parent, { recursive: true, force: true }));
  const folder = join(parent, name);
  cpSync(exampleFolder(name), folder, { recursive: true, filter: (path) => !/[/\\](outputs|node_modules|__pycache__)$/.test(path) });
  symlinkSync(join(repository, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

export interface Ended {
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** `stopAfterLine`: sends SIGTERM as soon as stdout has a line that contains it. */
export async function run(argv: readonly [string, ...string[]], cwd: string, { env = {}, stopAfterLine = '' } = {}): Promise<Ended> {
  const [file, ...args] = argv;
  const child = execa(file, args, { cwd, env: { ...blank, ...env }, reject: false, stripFinalNewline: false });
  onTestFinished(() => void child.kill('SIGKILL'));
  if (stopAfterLine !== '') {
    for await (const line of child) {
      if (line.includes(stopAfterLine)) child.kill('SIGTERM');
    }
  }
  const { exitCode, stdout, stderr } = await child;
  return { code: exitCode, stdout, stderr };
}

/** Of a job's environment nothing is inherited, should the tests themselves run as one. */
const blank = { GPU_RUN_RESUME_FROM: undefined, GPU_RUN_CHECKPOINT_DIR: undefined, PYTHONDONTWRITEBYTECODE: '1' };

export function jsonLines(text: string): Record<string, number>[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, number>);
}
