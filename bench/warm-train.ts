/** The whole of `gpu-run train -- true` on a local machine that is up, with nothing to sync: connect, compare, run, book, disconnect. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compare } from './measure.ts';
import { printTable } from './print-table.ts';

const launcher = join(import.meta.dirname, '..', 'bin', 'run.js');

export function benchWarmTrain(): void {
  const root = mkdtempSync(join(tmpdir(), 'gpu-run-bench-'));
  const project = join(root, 'project');
  mkdirSync(project);
  writeFileSync(join(project, 'gpu-run.yaml'), 'name: bench\nprovider: local\n');
  for (let file = 0; file < 100; file += 1) writeFileSync(join(project, `part-${file}.py`), `# ${'x'.repeat(2000)}\n`);
  const env = { GPU_RUN_HOME: join(root, 'home'), NO_COLOR: '1' };
  const gpuRun = (...words: string[]) => ({
    name: `gpu-run ${words.join(' ')}`,
    argv: [process.execPath, launcher, ...words] as const,
    env,
    cwd: project,
  });
  try {
    const rows = compare([{ name: 'node -e 0', argv: [process.execPath, '-e', '0'] }, gpuRun('status'), gpuRun('train', '--keep', '--', 'true')], 10);
    printTable(`A warm local machine, 100 files, nothing to sync, Node ${process.versions.node}, 10 rounds`, rows);
  } finally {
    spawnSync(process.execPath, [launcher, 'down', '--all', '--yes'], {
      cwd: project,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    rmSync(root, { recursive: true, force: true });
  }
}
