/**
 * `npm run quickstart`: the main job on the embedded default, with a real model and a real data set. Works on a copy of
 * `examples/iris` inside the state folder, so that the clone stays clean and one folder holds everything.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const repository = join(import.meta.dirname, '..');
const home = process.env['GPU_RUN_HOME'] ?? mkdtempSync(join(tmpdir(), 'gpu-run-quickstart-'));
const project = join(home, 'quickstart', 'iris');

rmSync(project, { recursive: true, force: true });
mkdirSync(project, { recursive: true });
cpSync(join(repository, 'examples', 'iris'), project, { recursive: true, filter: (path) => !/[/\\](outputs|node_modules)$/.test(path) });

const failed = gpuRun('up') || gpuRun('train') || gpuRun('cost');
const left = gpuRun('down', '--yes');
console.log(`\nThe project, its outputs and all state of gpu-run: ${home}`);
process.exitCode = failed || left;

/** Shows the command as one would type it, runs it with this terminal, and returns its exit code. */
function gpuRun(...words: string[]): number {
  console.log(`\n$ gpu-run ${words.join(' ')}`);
  const { status, signal } = spawnSync(process.execPath, [join(repository, 'bin', 'run.js'), ...words], {
    cwd: project,
    stdio: 'inherit',
    env: { ...process.env, GPU_RUN_HOME: home },
  });
  if (signal !== null) console.error(`gpu-run ${words[0]} was ended by ${signal}`);
  return status ?? 1;
}
