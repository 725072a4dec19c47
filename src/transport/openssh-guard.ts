/**
 * An `ssh` that does not outlive this process, even when that is killed without a chance to clean up: its parent shell leaves behind
 * a watcher that waits for the end of a pipe which this process holds. May import core and this folder.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Writable } from 'node:stream';

/**
 * `$1`: a folder that goes, too, or nothing; then the command. A line on the pipe (descriptor 3) is a goodbye, its end without one our
 * death. No prompt, not by jump hosts either.
 */
const guarded = `
SSH_ASKPASS_REQUIRE=never; export SSH_ASKPASS_REQUIRE
folder=$1; shift
{ read -r goodbye <&3 || { kill "$$"; if [ -n "$folder" ]; then rm -rf "$folder"; fi; }; } > /dev/null 2>&1 &
exec "$@" 3<&-
`;

type Stdio = 'pipe' | 'ignore' | NodeJS.ReadableStream | NodeJS.WritableStream | number;

export interface GuardedOptions {
  readonly stdio: readonly [Stdio, Stdio, Stdio];
  /** In a process group and session of its own: Ctrl-C is for us to deal with, and ssh finds no terminal to ask on. */
  readonly detached: boolean;
  /** Removed when this process has died. */
  readonly folder?: string;
}

/** Where there is no `sh` (Windows) it is started as it is. */
export function spawnGuarded(argv: readonly [string, ...string[]], { stdio, detached, folder = '' }: GuardedOptions): ChildProcess {
  const [program, ...words] = argv;
  if (process.platform === 'win32') return spawn(program, words, { stdio: [...stdio] as ['pipe', 'pipe', 'pipe'] });
  const child = spawn('sh', ['-c', guarded, 'sh', folder, ...argv], { stdio: [...stdio, 'pipe'] as ['pipe', 'pipe', 'pipe', 'pipe'], detached });
  const watched = child.stdio[3] as unknown as Writable;
  watched.on('error', () => {}); // the watcher is gone
  child.once('exit', () => watched.end('\n')); // the watcher has nothing left to kill
  return child;
}
