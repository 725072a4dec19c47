/** How long a command takes that has next to nothing to do, against Node doing nothing at all. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compare } from './measure.ts';
import { printTable } from './print-table.ts';

const launcher = join(import.meta.dirname, '..', 'bin', 'run.js');

export function benchStartUp(): void {
  const home = mkdtempSync(join(tmpdir(), 'gpu-run-bench-'));
  const gpuRun = (...words: string[]) => ({
    name: `gpu-run ${words.join(' ')}`,
    argv: [process.execPath, launcher, ...words] as const,
    env: { GPU_RUN_HOME: home, NO_COLOR: '1' },
    cwd: home,
  });
  try {
    const bare = { name: 'node -e 0', argv: [process.execPath, '-e', '0'] as const };
    const rows = compare([bare, gpuRun('--version'), gpuRun('--help'), gpuRun('train', '--help'), gpuRun('status')], 30);
    printTable(`Start-up, Node ${process.versions.node}, 30 rounds`, rows);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
