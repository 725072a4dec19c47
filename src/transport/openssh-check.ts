/** A connection that the user's own `ssh` keeps open, and that ours may share. May import core and this folder. */
import { type ChildProcess, spawn } from 'node:child_process';
import { exitCode } from './openssh-command.ts';
import { spawnGuarded } from './openssh-guard.ts';

/** Whether a shared connection stands behind the socket that the options name. Its process tells, not the host: the wire may be dead. */
export async function answers(options: readonly string[], host: string, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  const child = spawn('ssh', [...options, '-O', 'check', host], { stdio: 'ignore', signal: limit, killSignal: 'SIGKILL' });
  return (await exitCode(child)) === 0;
}

/** How a command that does nothing went. On a timeout, or when aborted, its process has been killed. */
export async function outcomeOf(child: ChildProcess, timeoutMs: number, signal: AbortSignal | undefined): Promise<'done' | 'failed' | 'timeout'> {
  const timeout = AbortSignal.timeout(timeoutMs);
  const limit = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
  const kill = () => void child.kill();
  if (limit.aborted) kill();
  else limit.addEventListener('abort', kill, { once: true });
  const code = await exitCode(child);
  limit.removeEventListener('abort', kill);
  if (code === 0) return 'done';
  return timeout.aborted ? 'timeout' : 'failed';
}

/** A process that does nothing but live until it is killed: when ours dies without cleaning up, the folder goes. */
export function guardFolder(folder: string): ChildProcess {
  return spawnGuarded(['cat'], { stdio: ['pipe', 'ignore', 'ignore'], detached: true, folder });
}
