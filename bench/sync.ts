/**
 * Getting folders to a machine, beside rsync, scp, sftp and tar over the same SSH server: `npm run bench -- sync [WORKLOAD...] [--link NAME]`.
 * Runs in a process of its own, where possible in a network namespace of its own: there, bytes are counted, and lines are slow.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** Among all benches, with small folders: at full size it takes longer than all others together. */
export async function benchSync(words: readonly string[], isOneOfAll: boolean): Promise<void> {
  const argv = [process.execPath, join(import.meta.dirname, 'sync', 'run-process.ts'), ...words];
  const isOwn = process.getuid?.() === 0 && spawnSync('unshare', ['--net', 'true']).status === 0;
  const [program = '', ...rest] = isOwn ? ['unshare', '--net', ...argv] : argv;
  const env = { ...(isOneOfAll ? { BENCH_SCALE: '0.02' } : {}), ...process.env, BENCH_OWN_NETWORK: isOwn ? '1' : '0', METADATA_SERVER_DETECTION: 'none' };
  const child = spawn(program, rest, { stdio: 'inherit', env });
  const passOn = () => child.kill('SIGTERM');
  const wait = () => {}; // the terminal has told the child too: it clears up
  process.on('SIGTERM', passOn).on('SIGINT', wait);
  const [code] = (await once(child, 'close')) as [number | null];
  process.off('SIGTERM', passOn).off('SIGINT', wait);
  if (code !== 0) process.exit(code ?? 1);
}
