/** Commands and shells on the channels of the `local` SSH server, with and without a terminal. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import type { Connection, PseudoTtyInfo, ServerChannel, Session } from 'ssh2';
import { isOnStandby } from '../../protocol/standby.ts';
import type { CommandHome, PipedChild } from './ssh-server-child.ts';
import { hasPty, ptyProcesses, resizePty, spawnOnPty } from './ssh-server-pty.ts';

export interface CommandServer {
  serve(session: Session, connection: Connection): void;
  /** Kills what still runs on open channels, with its process groups. */
  killAll(): void;
  /** It runs something, and all of that are connections of the runner that wait. */
  isOnStandby(connection: Connection): boolean;
}

/** Those that SSH has names for (RFC 4254, 6.10). */
const namedSignals = new Set<string>(
  ['ABRT', 'ALRM', 'FPE', 'HUP', 'ILL', 'INT', 'KILL', 'PIPE', 'QUIT', 'SEGV', 'TERM', 'USR1', 'USR2'].map((name) => `SIG${name}`),
);

export function serveCommands(home: CommandHome): CommandServer {
  const running = new Map<ChildProcess, { readonly onPty: boolean; readonly connection: Connection }>();

  const run = (session: Session, connection: Connection, channel: ServerChannel, command: string | null, pty: PseudoTtyInfo | null) => {
    if (pty !== null && !hasPty()) {
      refusePty(channel);
      return;
    }
    const child = pty === null ? spawnPlain(home, command) : spawnOnPty(home, command, pty);
    running.set(child, { onPty: pty !== null, connection });
    child.once('close', () => running.delete(child));
    connectStreams(channel, child);
    session.on('signal', (_accept, _reject, { name }) => signalGroups(child, pty !== null, `SIG${name}` as NodeJS.Signals));
    if (pty !== null) session.on('window-change', (_accept, _reject, size) => resizePty(child, size));
    const hangUp = () => {
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
      if (pty !== null) child.kill('SIGKILL'); // the kernel hangs up on the programs of a terminal whose keeper is gone
    };
    session.once('close', hangUp);
    connection.once('close', hangUp);
    child.once('close', () => connection.off('close', hangUp));
  };

  return {
    serve: (session, connection) => {
      let pty: PseudoTtyInfo | null = null;
      keepRequestsAfterEof(session);
      session.on('pty', (accept, _reject, info) => {
        pty = info;
        accept?.();
      });
      // Before the command runs only the size to begin with changes.
      session.on('window-change', (accept, _reject, size) => {
        if (pty !== null) pty = { ...pty, ...size };
        accept?.();
      });
      session.on('exec', (accept, _reject, { command }) => run(session, connection, accept(), command, pty));
      session.on('shell', (accept) => run(session, connection, accept(), null, pty));
    },
    killAll: () => {
      for (const [child, { onPty }] of running) {
        signalGroups(child, onPty, 'SIGKILL');
        child.kill('SIGKILL');
      }
    },
    isOnStandby: (connection) => {
      const runs = [...running].filter(([, run]) => run.connection === connection);
      return runs.length > 0 && runs.every(([{ pid }, { onPty }]) => !onPty && isOnStandby(commandLine(pid)));
    },
  };
}

/** Empty where this system does not tell. */
function commandLine(pid: number | undefined): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}

/** As sshd does it: a process group of its own, the shell's -c for a command, a login shell for none. */
function spawnPlain({ home, shell, env }: CommandHome, command: string | null): PipedChild {
  return spawn(shell, command === null ? ['-l'] : ['-c', command], { cwd: home, env, detached: true, stdio: 'pipe' }) as PipedChild;
}

function connectStreams(channel: ServerChannel, child: PipedChild): void {
  channel.on('error', () => {});
  child.stdin.on('error', () => {}); // the command doesn't read on
  child.stdin.once('close', () => channel.resume()); // what still comes is dropped
  channel.pipe(child.stdin);

  const send = inTurn(channel);
  const sent = Promise.all([sendAll(child.stdout, (chunk) => send(channel, chunk)), sendAll(child.stderr, (chunk) => send(channel.stderr, chunk))]);
  child.once('exit', (code, signal) => sendStatus(channel, code, signal));
  child.once('error', (error) => {
    channel.stderr.write(`${error.message}\n`);
    channel.exit(127);
  });
  child.once('close', () => void sent.then(() => channel.end()));
}

async function sendAll(output: Readable, send: (chunk: Buffer) => Promise<void>): Promise<void> {
  try {
    for await (const chunk of output) await send(chunk);
  } catch {
    // the channel was closed, and the output with it
  }
}

/**
 * One chunk at a time, of either stream: when both wait for the client's window, the library (1.17) sends one of them
 * twice and the other never. For the same reason it must forget what was sent.
 */
function inTurn(channel: ServerChannel): (target: Writable, chunk: Buffer) => Promise<void> {
  const pending = channel as unknown as Record<'_chunk' | '_chunkcb' | '_chunkErr' | '_chunkcbErr', undefined>;
  let turn = Promise.resolve();
  const send = (target: Writable, chunk: Buffer) =>
    new Promise<void>((done) => {
      target.write(chunk, () => {
        pending._chunk = pending._chunkcb = pending._chunkErr = pending._chunkcbErr = undefined;
        done();
      });
    });
  return (target, chunk) => {
    turn = turn.then(() => send(target, chunk));
    return turn;
  };
}

function sendStatus(channel: ServerChannel, code: number | null, signal: NodeJS.Signals | null): void {
  if (signal === null) channel.exit(code ?? 255);
  else if (namedSignals.has(signal)) channel.exit(signal, false, '');
  else channel.exit(128 + osConstants.signals[signal]);
}

/** The library refuses signals and window changes once a command's input has ended; sshd doesn't. */
function keepRequestsAfterEof(session: Session): void {
  session.on('eof', () => {
    (session as unknown as { _ending: boolean })._ending = false;
  });
}

function refusePty(channel: ServerChannel): void {
  channel.stderr.write("A terminal needs the program 'script' of util-linux, which this computer doesn't have. Commands without a terminal work.\n");
  channel.exit(1);
  channel.end();
}

function signalGroups(child: ChildProcess, onPty: boolean, signal: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  for (const leader of onPty ? ptyProcesses(child) : [child.pid]) {
    try {
      process.kill(-leader, signal);
    } catch {
      // it has ended, or there is no such signal
    }
  }
}
