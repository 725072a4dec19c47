/** Pseudo-terminals for the `local` SSH server. Node can't make any; `script` of util-linux, part of every Linux, can. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import type { PseudoTtyInfo } from 'ssh2';
import type { CommandHome, PipedChild } from './ssh-server-child.ts';

/** The command comes by the environment, and is gone from there when it starts: so nothing has to be quoted. */
const onTerminal = `
stty echo rows "$GPU_RUN_PTY_ROWS" cols "$GPU_RUN_PTY_COLS" 2> /dev/null
command=$GPU_RUN_PTY_COMMAND
has_command=\${GPU_RUN_PTY_COMMAND+yes}
unset GPU_RUN_PTY_ROWS GPU_RUN_PTY_COLS GPU_RUN_PTY_COMMAND
if [ "$has_command" ]; then exec "$SHELL" -c "$command"; else exec "$SHELL" -l; fi
`;

export function hasPty(): boolean {
  const { stdout } = spawnSync('script', ['--version'], { encoding: 'utf8' });
  return typeof stdout === 'string' && stdout.includes('util-linux');
}

export function spawnOnPty({ home, env }: CommandHome, command: string | null, pty: PseudoTtyInfo & { term?: string }): PipedChild {
  const terminal = {
    TERM: pty.term || 'xterm',
    GPU_RUN_PTY_ROWS: String(pty.rows || 24),
    GPU_RUN_PTY_COLS: String(pty.cols || 80),
    ...(command === null ? {} : { GPU_RUN_PTY_COMMAND: command }),
  };
  return spawn('script', ['-qefc', onTerminal, '/dev/null'], { cwd: home, env: { ...env, ...terminal }, detached: true, stdio: 'pipe' }) as PipedChild;
}

/** The kernel then tells the programs on the terminal by itself. */
export function resizePty(child: ChildProcess, size: { readonly rows: number; readonly cols: number }): void {
  const terminal = ptyProcesses(child)
    .map(terminalOf)
    .find((path) => path !== null);
  if (terminal !== undefined && terminal !== null) {
    spawn('stty', ['-F', terminal, 'rows', String(size.rows), 'cols', String(size.cols)], { stdio: 'ignore' }).on('error', () => {});
  }
}

/** The processes that `script` runs on the terminal: each leads a process group of its own. */
export function ptyProcesses(child: ChildProcess): number[] {
  try {
    const pids = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'latin1');
    return pids.split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function terminalOf(pid: number): string | null {
  try {
    const path = readlinkSync(`/proc/${pid}/fd/0`);
    return path.startsWith('/dev/pts/') ? path : null;
  } catch {
    return null;
  }
}
