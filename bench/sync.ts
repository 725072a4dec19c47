/**
 * Getting folders to a machine, beside rsync, scp, sftp and tar over the same SSH server: `npm run bench -- sync [WORKLOAD...] [--link NAME]`.
 * Runs in a process of its own, where possible in a network namespace of its own: there, bytes are counted, and lines are slow.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

export function benchSync(words: readonly string[]): void {
  const argv = [process.execPath, join(import.meta.dirname, 'sync', 'run-process.ts'), ...words];
  const isOwn = process.getuid?.() === 0 && spawnSync('unshare', ['--net', 'true']).status === 0;
  const [program = '', ...rest] = isOwn ? ['unshare', '--net', ...argv] : argv;
  const env = { ...process.env, BENCH_OWN_NETWORK: isOwn ? '1' : '0', METADATA_SERVER_DETECTION: 'none' };
  const wait = () => {}; // the terminal has told the child too: it clears up
  process.on('SIGINT', wait);
  const { status } = spawnSync(program, rest, { stdio: 'inherit', env });
  process.off('SIGINT', wait);
  if (status !== 0) process.exit(status ?? 1);
}
