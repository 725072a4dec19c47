import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { endJobProcesses } from '../../../remote-runner/job-processes.ts';
import { identify, type ProcessRow, processTable } from '../../../remote-runner/processes.ts';
import { until } from '../../support/runner.ts';

test('a shim that is slow to write down how its command was killed gets the time for it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gpu-run-slow-shim-'));
  // As the shim: the command in the foreground, then programs that write. The command and its children ignore SIGTERM.
  const text =
    'trap : TERM; (trap "" TERM; sh -c "while :; do sleep 0.05; done" & echo on > on; while :; do sleep 0.05; done); code=$?; (sleep 0.3; echo $code > exit)';
  const shim = spawn('sh', ['-c', text], { cwd: folder, detached: true, stdio: 'ignore' });
  try {
    await until(() => existsSync(join(folder, 'on')), 'its command');
    const identity = identify(shim.pid ?? 0);
    expect(identity).not.toBeNull();
    const find = (): ProcessRow[] => processTable().filter(({ group }) => group === shim.pid);
    expect(await endJobProcesses({ find, shims: identity === null ? [] : [identity], graceMs: () => 100 })).toEqual([]);
    expect(readFileSync(join(folder, 'exit'), 'utf8')).toBe('137\n');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
