/**
 * The one connection that the `ssh` processes of a transport share. May import core and this folder.
 *
 * It must not outlive this process, even when that is killed without a chance to clean up: so its parent shell leaves behind a
 * watcher that waits for the end of a pipe which this process holds.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { GpuRunError } from '../core/errors.ts';
import { diagnoseOpenssh } from './openssh-diagnose.ts';
import type { SshArguments } from './openssh-options.ts';
import type { ConnectOptions } from './transport.ts';

export interface Master {
  /** Options that make a further `ssh` go through this connection. */
  readonly options: readonly string[];
  alive(): boolean;
  /** What ssh said so far. */
  said(): string;
  close(): Promise<void>;
}

/** $1 our folder, then the command. A line on the pipe (descriptor 3) is a goodbye, its end without one our death. No prompt, not by jump hosts either. */
const guarded = `
SSH_ASKPASS_REQUIRE=never; export SSH_ASKPASS_REQUIRE
folder=$1; shift
{ read -r goodbye <&3 || { kill "$$"; rm -rf "$folder"; }; } > /dev/null 2>&1 &
exec "$@" 3<&-
`;

/** The socket is listened on before the local command runs. */
const tellReady = ['-o', 'PermitLocalCommand=yes', '-o', 'LocalCommand=echo ready'];

/** Resolves when the connection is authenticated. Rejects with what went wrong; then no process is left. */
export async function startMaster(ssh: SshArguments, options: ConnectOptions, folder: string, signal: AbortSignal): Promise<Master> {
  const through = ['-S', join(folder, 's').replaceAll('%', '%%')]; // `%` begins a token
  const child = spawnGuarded(folder, [...ssh.options, ...through, '-M', '-o', 'ControlPersist=no', '-N', '-T', ...tellReady, ssh.host]);
  let alive = true;
  let said = '';
  const ready = new Promise<'ready'>((resolve) => child.stdout.once('data', () => resolve('ready')));
  const ended = new Promise<'ended'>((resolve) => {
    child.once('close', () => resolve('ended'));
    child.once('error', (error) => {
      said = error.message; // it could not even be started
      resolve('ended');
    });
  });
  child.once('exit', () => {
    alive = false;
    child.watched.end('\n'); // the watcher has nothing left to kill
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-16_384);
  });
  const close = async () => {
    alive = false;
    child.watched.end('\n');
    child.kill();
    await ended;
  };

  const limitMs = options.timeoutMs ?? 15_000;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(limitMs)]);
  const outcome = await Promise.race([ready, ended, aborted(limit)]);
  child.stdout.resume();
  if (outcome === 'ready') return { options: [...through, '-o', 'ControlMaster=no'], alive: () => alive, said: () => said, close };

  await close();
  if (signal.aborted) throw new GpuRunError('interrupted', 'Connecting was interrupted.', { cause: signal.reason });
  throw diagnoseOpenssh(outcome === 'aborted' ? `${said}\nno answer within ${Math.round(limitMs / 1000)} seconds` : said, options);
}

/** In a process group of its own: Ctrl-C is for us to deal with, and ssh finds no terminal to ask on. */
function spawnGuarded(folder: string, argv: readonly string[]): ChildProcessByStdio<null, Readable, Readable> & { readonly watched: Writable } {
  const child = spawn('sh', ['-c', guarded, 'sh', folder, 'ssh', ...argv], { stdio: ['ignore', 'pipe', 'pipe', 'pipe'], detached: true });
  const watched = child.stdio[3] as Writable;
  watched.on('error', () => {}); // the watcher is gone
  return Object.assign(child as unknown as ChildProcessByStdio<null, Readable, Readable>, { watched });
}

function aborted(signal: AbortSignal): Promise<'aborted'> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve('aborted');
    else signal.addEventListener('abort', () => resolve('aborted'), { once: true });
  });
}
