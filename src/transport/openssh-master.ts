/** The one connection that the `ssh` processes of a transport share. May import core and this folder. */
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { GpuRunError } from '../core/errors.ts';
import { diagnoseOpenssh } from './openssh-diagnose.ts';
import { spawnGuarded } from './openssh-guard.ts';
import type { SshArguments } from './openssh-options.ts';
import { answersWithinMs, type ConnectOptions } from './transport.ts';

export interface Master {
  /** Options that make a further `ssh` go through this connection. */
  readonly options: readonly string[];
  alive(): boolean;
  /** What ssh said so far. */
  said(): string;
  close(): Promise<void>;
}

/** The socket is listened on before the local command runs. */
const tellReady = ['-o', 'PermitLocalCommand=yes', '-o', 'LocalCommand=echo ready'];

/** Resolves when the connection is authenticated. Rejects with what went wrong; then no process is left. */
export async function startMaster(ssh: SshArguments, options: ConnectOptions, folder: string, signal: AbortSignal): Promise<Master> {
  const through = ['-S', join(folder, 's').replaceAll('%', '%%')]; // `%` begins a token
  const argv = ['ssh', ...ssh.options, ...through, '-M', '-o', 'ControlPersist=no', '-N', '-T', ...tellReady, ssh.host] as const;
  const child = spawnGuarded(argv, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, folder });
  const [stdout, stderr] = [child.stdout, child.stderr] as [Readable, Readable];
  let alive = true;
  let said = '';
  const ready = new Promise<'ready'>((resolve) => stdout.once('data', () => resolve('ready')));
  const ended = new Promise<'ended'>((resolve) => {
    child.once('close', () => resolve('ended'));
    child.once('error', (error) => {
      said = error.message; // it could not even be started
      resolve('ended');
    });
  });
  child.once('exit', () => {
    alive = false;
  });
  stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-16_384);
  });
  const close = async () => {
    alive = false;
    child.kill();
    await ended;
  };

  const limitMs = options.timeoutMs ?? answersWithinMs;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(limitMs)]);
  const outcome = await Promise.race([ready, ended, aborted(limit)]);
  stdout.resume();
  if (outcome === 'ready') return { options: [...through, '-o', 'ControlMaster=no'], alive: () => alive, said: () => said, close };

  await close();
  if (signal.aborted) throw new GpuRunError('interrupted', 'Connecting was interrupted.', { cause: signal.reason });
  throw diagnoseOpenssh(outcome === 'aborted' ? `${said}\nno answer within ${Math.round(limitMs / 1000)} seconds` : said, options);
}

function aborted(signal: AbortSignal): Promise<'aborted'> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve('aborted');
    else signal.addEventListener('abort', () => resolve('aborted'), { once: true });
  });
}
