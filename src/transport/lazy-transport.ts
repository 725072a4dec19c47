/**
 * The whole `Transport` out of the little that differs between SSH implementations. May import core and this folder.
 *
 * The implementation is loaded and its connection made at the first use; files and forwards are the same for all.
 */
import type { Duplex } from 'node:stream';
import { GpuRunError } from '../core/errors.ts';
import { readRemoteFile, writeRemoteFile } from './copy.ts';
import { openForward, type RemoteAddress } from './forward.ts';
import { lazyProcess, type StartedCommand } from './lazy-process.ts';
import type { ExitStatus, Forward, LocalTerminal, Transport, UsersSsh } from './transport.ts';

/** What an SSH implementation has to offer. Everything rejects with GpuRunError. */
export interface Connector {
  /** Makes the connection, if there is none that is alive. */
  connect(signal?: AbortSignal): Promise<void>;
  start(argv: readonly string[], signal: AbortSignal): Promise<StartedCommand>;
  terminal(argv: readonly string[] | null, terminal: LocalTerminal): Promise<ExitStatus>;
  /** A byte stream to an address as seen from the machine. */
  dial(remote: RemoteAddress): Promise<Duplex>;
  usersSsh?(signal: AbortSignal): Promise<UsersSsh>;
  /** Ends the connection and what goes through it. */
  close(): Promise<void>;
}

export function lazyTransport(load: () => Promise<Connector>): Transport {
  let loading: Promise<Connector> | null = null;
  let closing: Promise<void> | null = null;
  const forwards = new Set<Forward>();

  const connector = async (): Promise<Connector> => {
    if (closing !== null) throw new GpuRunError('internal', 'The connection was closed already.');
    loading ??= load();
    return await loading;
  };
  const exec: Transport['exec'] = (argv, options) => lazyProcess(async (signal) => await (await connector()).start(argv, signal), options?.signal);
  const closeAll = async () => {
    await Promise.all([...forwards].map((forward) => forward.close()));
    // An implementation that could not be loaded has nothing to close.
    const loaded = await loading?.catch(() => null);
    await loaded?.close();
  };

  return {
    exec,
    connect: async (signal) => await (await connector()).connect(signal),
    terminal: async (argv, terminal) => await (await connector()).terminal(argv, terminal),
    copyTo: async (content, remotePath, options) => await writeRemoteFile(exec, content, remotePath, options),
    copyFrom: (remotePath, options) => readRemoteFile(exec, remotePath, options?.signal),
    forward: async (localPort, remote) => {
      const opened = await connector();
      const forward = await openForward(localPort, remote, (address) => opened.dial(address));
      forwards.add(forward);
      return {
        port: forward.port,
        close: async () => {
          forwards.delete(forward);
          await forward.close();
        },
      };
    },
    usersSsh: async (signal) => (await (await connector()).usersSsh?.(signal)) ?? null,
    close: async () => {
      closing ??= closeAll();
      await closing;
    },
  };
}
