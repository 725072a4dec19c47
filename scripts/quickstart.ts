/**
 * `npm run quickstart`: the main job on the embedded default, with a real model and a real data set. Works on a copy of
 * `examples/iris` inside the state folder, so that the clone stays clean and one folder holds everything.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const repository = join(import.meta.dirname, '..');
const given = process.env['GPU_RUN_HOME'];
const home = given === undefined || given === '' ? mkdtempSync(join(tmpdir(), 'gpu-run-quickstart-')) : resolve(given);
const project = join(home, 'quickstart', 'iris');
const packages = join(home, 'node_modules');

copyExample();
const borrowed = borrowPackages();
const failed = gpuRun('up') || gpuRun('train') || gpuRun('cost');
const left = gpuRun('down', '--yes');
if (borrowed) rmSync(packages);
console.log(`\nThe project with its outputs: ${project}\nAll state of gpu-run: ${home}`);
process.exitCode = failed || left;

function copyExample(): void {
  if (existsSync(home) && readdirSync(home).length === 0) chmodSync(home, 0o700); // gpu-run keeps nothing where others may look
  rmSync(project, { recursive: true, force: true });
  mkdirSync(project, { recursive: true, mode: 0o700 }); // the state folder too: it is for its owner alone
  cpSync(join(repository, 'examples', 'iris'), project, { recursive: true, filter: (path) => !/[/\\](outputs|node_modules)$/.test(path) });
}

/**
 * The clone has installed what the example's setup would download. The machine's folder lies in the state folder, so Node finds
 * there what is linked there. Returns whether it was: a folder of that name that is there already is left alone.
 */
function borrowPackages(): boolean {
  if (existsSync(packages)) return false;
  symlinkSync(join(repository, 'node_modules'), packages);
  const config = join(project, 'gpu-run.yaml');
  writeFileSync(config, readFileSync(config, 'utf8').replace(/^setup: \|\n( {2}.*\n)+/m, ''));
  return true;
}

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
