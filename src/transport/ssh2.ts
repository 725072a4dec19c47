/** The `Transport` for machines that we made, in this process, by the `ssh2` library. May import core and this folder. */
import type { Duplex } from 'node:stream';
import type { ClientChannel } from 'ssh2';
import { GpuRunError } from '../core/errors.ts';
import type { Connector, RemoteAddress, StartedCommand } from './connector.ts';
import { diedOf } from './exit-status.ts';
import { lazyTransport } from './lazy-transport.ts';
import { orInterrupted } from './or-interrupted.ts';
import { quoteArgv } from './quote.ts';
import { type OwnAccess, openSsh2, type Ssh2Connection } from './ssh2-connection.ts';
import { runTerminal } from './ssh2-terminal.ts';
import type { ConnectOptions, ExitStatus, LocalTerminal, Transport } from './transport.ts';

type Answer = (error: Error | undefined, channel: ClientChannel) => void;

/** A server refuses more than its MaxSessions (OpenSSH: 10) channels a connection; then another connection is made, up to so many. */
const maxConnections = 8;

export function connectSsh2(options: ConnectOptions): Transport {
  return lazyTransport(async () => createSsh2Connector(options));
}

export function createSsh2Connector(options: ConnectOptions): Connector {
  const access = ownAccess(options);
  const closing = new AbortController();
  const connections = new Set<Ssh2Connection>();
  let current: Promise<Ssh2Connection> | null = null;

  const open = async (): Promise<Ssh2Connection> => {
    const connection = await openSsh2(access, options, closing.signal);
    for (const old of connections) if (!old.alive()) connections.delete(old);
    connections.add(connection);
    return connection;
  };

  /** The connection that is used now, made anew when it is known to be dead. All callers share one attempt. */
  const connection = async (): Promise<Ssh2Connection> => {
    const attempt = current;
    const made = await attempt?.catch(() => null);
    if (made?.alive()) return made;
    if (current === attempt) current = open();
    return await (current as Promise<Ssh2Connection>);
  };

  /** Opens a channel, on a further connection when the server wants no more of them on this one. */
  const openChannel = async <T>(request: (connection: Ssh2Connection) => Promise<T>): Promise<T> => {
    for (;;) {
      const used = await connection();
      const attempt = current;
      try {
        return await request(used);
      } catch (error) {
        if (!used.alive()) throw used.lost();
        if (!isRefusal(error) || connections.size >= maxConnections) throw refused(error, access);
        if (current === attempt) current = open();
      }
    }
  };

  return {
    connect: async (signal) => {
      await orInterrupted(connection(), signal);
    },
    alive: () => [...connections].some((each) => each.alive()),
    start: async (argv, signal) => {
      const line = commandLine(argv);
      return await orInterrupted(
        openChannel((used) =>
          requestChannel(
            (answer) => used.client.exec(line, answer),
            (channel) => startedCommand(channel, used),
          ),
        ),
        signal,
        (late) => late.kill('SIGTERM'),
      );
    },
    terminal: async (argv, terminal) => {
      const pty = ptyOf(terminal);
      const line = argv === null ? null : commandLine(argv);
      const ended = await openChannel((used) =>
        requestChannel(
          (answer) => (line === null ? used.client.shell(pty, answer) : used.client.exec(line, { pty }, answer)),
          (channel) => ({ status: runTerminal(channel, statusOf(channel, used), terminal) }),
        ),
      );
      return await ended.status;
    },
    dial: async (remote) => await dial(await connection(), remote, access),
    close: async () => {
      closing.abort();
      await current?.catch(() => {});
      await Promise.all([...connections].map((each) => each.close()));
    },
  };
}

/** The library's packets take some 35 kB; a longer request breaks the connection. */
const longestCommand = 32 * 1024;

/** The command takes the login shell's place: so what SSH says of the end, and its signals, are the command's. */
function commandLine(argv: readonly string[]): string {
  const quoted = quoteArgv(argv);
  const bytes = Buffer.byteLength(quoted);
  if (bytes <= longestCommand) return `exec ${quoted}`;
  throw new GpuRunError('bad-input', `The command is too long: ${bytes} bytes once quoted for the shell; at most ${longestCommand} can be sent.`, {
    hints: ['Put long arguments into a file on the machine (or into its input), and give the command the file.'],
  });
}

/** `take` is called in the same turn as the answer comes, so that no event of the channel is missed. */
function requestChannel<T>(request: (answer: Answer) => void, take: (channel: ClientChannel) => T): Promise<T> {
  return new Promise((resolve, reject) => {
    request((error, channel) => {
      if (error) reject(error);
      else resolve(take(channel));
    });
  });
}

function startedCommand(channel: ClientChannel, used: Ssh2Connection): StartedCommand {
  return {
    stdin: channel,
    stdout: channel,
    stderr: channel.stderr,
    exit: statusOf(channel, used),
    kill: (signal) => {
      sendSignal(channel, used, signal);
      channel.close();
    },
  };
}

function statusOf(channel: ClientChannel, used: Ssh2Connection): Promise<ExitStatus> {
  const status = new Promise<ExitStatus>((resolve, reject) => {
    channel.once('exit', (code: number | null, signal?: string) => resolve(code === null ? diedOf(signal ?? 'SIGKILL') : { code, signal: null }));
    channel.once('close', () => reject(used.alive() ? new GpuRunError('interrupted', 'The command was cut off before its end.') : used.lost()));
  });
  status.catch(() => {}); // whoever started the command asks later
  return status;
}

/** The library's own `signal()` does nothing once the input has ended, which it mostly has: so the message is sent beneath it. */
function sendSignal(channel: ClientChannel, used: Ssh2Connection, signal: NodeJS.Signals): void {
  const { _protocol: protocol } = used.client as unknown as { _protocol: { signal(channel: number, name: string): void } };
  const { outgoing } = channel as unknown as { outgoing: { id: number; state: string } };
  if (used.alive() && (outgoing.state === 'open' || outgoing.state === 'eof')) protocol.signal(outgoing.id, signal);
}

async function dial(used: Ssh2Connection, remote: RemoteAddress, access: OwnAccess): Promise<Duplex> {
  try {
    return await requestChannel(
      (answer) => used.client.forwardOut('127.0.0.1', 0, remote.host, remote.port, answer),
      (channel) => channel,
    );
  } catch (error) {
    throw new GpuRunError('connection', `${remote.host}:${remote.port} can't be reached from ${access.host}: ${(error as Error).message}.`, { cause: error });
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof Error && error.message.includes('Channel open failure');
}

function refused(error: unknown, access: OwnAccess): GpuRunError {
  if (error instanceof GpuRunError) return error;
  return new GpuRunError('protocol', `${access.host}:${access.port} refused to run the command: ${(error as Error).message}.`, { cause: error });
}

function ptyOf(terminal: LocalTerminal): { term: string; cols: number; rows: number } {
  return { term: terminal.term, cols: terminal.stdout.columns || 80, rows: terminal.stdout.rows || 24 };
}

function ownAccess({ access }: ConnectOptions): OwnAccess {
  if (access.kind === 'own') return access;
  throw new GpuRunError('internal', `a machine of kind '${access.kind}' was given to the ssh2 transport`);
}
