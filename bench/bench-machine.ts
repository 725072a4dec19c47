/** A local machine for a bench: a project and a state folder in a temp folder, `up` at the start, `down` at the end. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Contender } from './measure.ts';

const launcher = join(import.meta.dirname, '..', 'bin', 'run.js');
const name = 'bench';

export interface BenchMachine extends Disposable {
  readonly name: string;
  /** The folder that is synced. */
  readonly project: string;
  /** For `ssh -F`, and what is built on it. */
  readonly sshConfig: string;
  gpuRun(...words: string[]): Contender;
}

export const bareNode: Contender = { name: 'node -e 0', argv: [process.execPath, '-e', '0'] };

export function createBenchMachine(): BenchMachine {
  const root = mkdtempSync(join(tmpdir(), 'gpu-run-bench-'));
  const home = join(root, 'home');
  const project = join(root, 'project');
  mkdirSync(project);
  writeFileSync(join(project, 'gpu-run.yaml'), `name: ${name}\nprovider: local\n`);
  const env = { GPU_RUN_HOME: home, GPU_RUN_LINK: '0', NO_COLOR: '1' };
  const start = { cwd: project, env: { ...process.env, ...env } };
  const down = () => {
    spawnSync(process.execPath, [launcher, 'down', '--all', '--yes', '--quiet'], { ...start, stdio: ['ignore', 'ignore', 'inherit'] });
    rmSync(root, { recursive: true, force: true });
  };
  try {
    execFileSync(process.execPath, [launcher, 'up', '--quiet'], { ...start, stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    down();
    throw error;
  }
  return {
    name,
    project,
    sshConfig: join(home, 'ssh_config'),
    gpuRun: (...words) => ({ name: `gpu-run ${words.join(' ')}`, argv: [process.execPath, launcher, ...words], env, cwd: project }),
    [Symbol.dispose]: down,
  };
}
