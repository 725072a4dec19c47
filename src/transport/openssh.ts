/**
 * The `Transport` for the user's own hosts: the system's `ssh`, with its config, agent, jump hosts and known_hosts.
 * May import core and this folder.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { GpuRunError } from '../core/errors.ts';
import type { Connector, RemoteAddress } from './connector.ts';
import { statusFromShell } from './exit-status.ts';
import { lazyTransport } from './lazy-transport.ts';
import { answers, guardFolder, outcomeOf } from './openssh-check.ts';
import { exitCode, opensshCommand, type PipedSsh, reportingCommand } from './openssh-command.ts';
import { diagnoseOpenssh } from './openssh-diagnose.ts';
import { spawnGuarded } from './openssh-guard.ts';
import { type Master, startMaster } from './openssh-master.ts';
import { type OpensshAccess, type SshArguments, sshArguments } from './openssh-options.ts';
import { orInterrupted } from './or-interrupted.ts';
import { answersWithinMs, type ConnectOptions, type Transport } from './transport.ts';

/** Where `ssh` may be started: its arguments, and the connection that it goes through. */
interface Route {
  readonly ssh: SshArguments;
  /** Our own; null where each `ssh` connects by itself or shares a connection of the user's. */
  readonly master: Master | null;
  readonly argv: readonly string[];
  /** What the `ssh` processes say themselves, apart from their commands. */
  readonly log: string;
}

export function connectOpenssh(options: ConnectOptions): Transport {
  return lazyTransport(async () => createOpensshConnector(options));
}

export function createOpensshConnector(options: ConnectOptions): Connector {
  const access = opensshAccess(options);
  const closing = new AbortController();
  const timeoutMs = options.timeoutMs ?? answersWithinMs;
  const children = new Set<ChildProcess>();
  let folder: Promise<string> | null = null;
  let guarded = false;
  let current: Promise<Route> | null = null;
  let made: Route | null = null;

  const track = <T extends ChildProcess>(child: T): T => {
    children.add(child);
    child.once('close', () => children.delete(child));
    return child;
  };

  /** `mayShare`: false when the user's connection was found to be dead. */
  const open = async (mayShare: boolean): Promise<Route> => {
    folder ??= privateFolder(options.scratch);
    const path = await folder;
    const log = join(path, 'log');
    const ssh = await sshArguments(access, options, path, closing.signal);
    const common = [...ssh.options, '-E', log];
    if (process.platform === 'win32') return { ssh, master: null, argv: common, log }; // there it can't share connections
    if (mayShare && ssh.userMayHaveMaster && (await answers(ssh.options, ssh.host, timeoutMs, closing.signal))) {
      if (!guarded) track(guardFolder(path)); // a connection of our own would take the folder with it
      guarded = true;
      return { ssh, master: null, argv: [...common, '-o', 'ControlMaster=no'], log };
    }
    const master = await startMaster(ssh, options, path, closing.signal);
    return { ssh, master, argv: [...common, ...master.options], log };
  };

  /** All callers share one attempt; a dead connection, or an attempt that failed, is followed by a new one. */
  const route = async (): Promise<Route> => {
    const attempt = current;
    const before = await attempt?.catch(() => null);
    if (before && before.master?.alive() !== false) return before;
    if (current === attempt) current = open(true);
    made = await (current as Promise<Route>);
    return made;
  };

  /** A connection of our own instead of one of the user's that hangs. */
  const replace = async (dead: Route): Promise<Route> => {
    const attempt = current;
    if ((await attempt?.catch(() => null)) === dead && current === attempt) current = open(false);
    return await route();
  };

  /** Without a connection of ours the next command looks again whether the user's still stands. */
  const explain = async (used: Route): Promise<GpuRunError> => {
    if (used.master === null) current = null;
    const said = [used.master?.said() ?? '', await readFile(used.log, 'utf8').catch(() => '')].join('\n').trim();
    const why = diagnoseOpenssh(said, options);
    if (why.code !== 'connection' || used.master === null) return why;
    return new GpuRunError('connection', `The connection to ${access.host} broke.`, { retry: 'same', cause: why });
  };

  return {
    connect: async (signal) => {
      const used = await orInterrupted(route(), signal);
      if (used.master !== null) return;
      // A connection that is not ours to hold is tried out.
      const child = track(spawnPiped([...used.argv, '-T', used.ssh.host, 'exit 0']));
      child.stdin.end();
      child.stdout.resume();
      child.stderr.resume();
      const outcome = await outcomeOf(child, timeoutMs, signal);
      if (signal?.aborted) throw new GpuRunError('interrupted', 'Connecting was interrupted.', { cause: signal.reason });
      if (outcome === 'timeout' && process.platform !== 'win32') await orInterrupted(replace(used), signal);
      else if (outcome !== 'done') throw diagnoseOpenssh(await readFile(used.log, 'utf8').catch(() => ''), options);
    },
    alive: () => made !== null && made.master?.alive() !== false,
    start: async (argv, signal) => {
      const { line, mark } = reportingCommand(argv);
      const used = await orInterrupted(route(), signal);
      return opensshCommand(track(spawnPiped([...used.argv, '-T', used.ssh.host, line])), mark, () => explain(used));
    },
    terminal: async (argv, { stdin, stdout, stderr, term }) => {
      const used = await route();
      const command = argv === null ? [] : [reportingCommand(argv).line];
      stdin.pause(); // every key is for ssh
      const call = ['env', `TERM=${term}`, 'ssh', ...used.argv, '-t', used.ssh.host, ...command] as const;
      const child = track(spawnGuarded(call, { stdio: [stdin, stdout, stderr], detached: false }));
      const code = await exitCode(child);
      // On a terminal nothing marks a 255 as the command's own: it is, where the connection still stands.
      if (code === null || (code === 255 && used.master !== null && !(await answers(used.argv, access.host, timeoutMs, closing.signal))))
        throw await explain(used);
      return statusFromShell(code);
    },
    dial: async (remote) => {
      const used = await route();
      return streamOf(track(spawnPiped([...used.argv, '-T', '-W', addressOf(remote), used.ssh.host])));
    },
    usersSsh: async (signal) => {
      const used = await orInterrupted(route(), signal);
      return {
        argv: ['ssh', ...used.argv, '-T'],
        host: used.ssh.host,
        subsystem: (name) => streamOf(track(spawnPiped([...used.argv, '-T', '-s', used.ssh.host, name]))),
      };
    },
    close: async () => {
      closing.abort();
      const last = await current?.catch(() => null);
      const ended = [...children].map(exitCode);
      for (const child of children) child.kill();
      await last?.master?.close();
      await Promise.all(ended);
      if (folder !== null) await rm(await folder, { recursive: true, force: true });
    },
  };
}

/**
 * One that comes when the shared connection has just gone, or that the host refuses a further session on it (`MaxSessions`), makes a
 * connection of its own: so each of them is guarded.
 */
function spawnPiped(argv: readonly string[]): PipedSsh {
  return spawnGuarded(['ssh', ...argv], { stdio: ['pipe', 'pipe', 'pipe'], detached: true }) as PipedSsh;
}

/** The path of a socket may have some 100 bytes, of which ssh needs 20: where ours would be longer, the system's folder for such things. */
async function privateFolder(scratch: string): Promise<string> {
  if (Buffer.byteLength(scratch) > 70) return await mkdtemp(join(tmpdir(), 'gpu-run-'));
  await mkdir(scratch, { recursive: true, mode: 0o700 });
  return await mkdtemp(join(scratch, 'ssh-'));
}

function streamOf(child: PipedSsh): Duplex {
  child.stderr.resume();
  const stream = Duplex.from({ readable: child.stdout, writable: child.stdin });
  stream.once('close', () => child.kill());
  child.once('error', () => stream.destroy());
  return stream;
}

function addressOf({ host, port }: RemoteAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function opensshAccess({ access }: ConnectOptions): OpensshAccess {
  if (access.kind === 'openssh') return access;
  throw new GpuRunError('internal', `a machine of kind '${access.kind}' was given to the openssh transport`);
}
