/**
 * The whole `Transport` out of the little that differs between SSH implementations. May import core and this folder.
 *
 * The implementation is loaded and its connection made at the first use; files and forwards are the same for all.
 */
import { GpuRunError } from '../core/errors.ts';
import type { Connector } from './connector.ts';
import { readRemoteFile, writeRemoteFile } from './copy.ts';
import { openForward } from './forward.ts';
import { lazyProcess } from './lazy-process.ts';
import type { Forward, Transport } from './transport.ts';

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
