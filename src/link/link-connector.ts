/** A command's end of a link: a `Connector` that goes through one where it can be had, and else by itself. May import core, protocol and the transport interface. */
import { connect as connectSocket, type Socket } from 'node:net';
import { GpuRunError } from '../core/errors.ts';
import type { Peer } from '../protocol/peer.ts';
import type { Connector } from '../transport/connector.ts';
import type { Hello, StandingRunner } from './messages.ts';
import { isTrusted, type LinkPlace } from './place.ts';
import { linkLost, openedStream, resultOf, startedCommand } from './remote-command.ts';
import { peerOver } from './socket-peer.ts';

export interface LinkedOptions {
  readonly place: LinkPlace;
  readonly version: string;
  /** Past the link. Called at most once. */
  readonly direct: () => Promise<Connector>;
}

export interface OpenLink {
  readonly peer: Peer;
  /** The runner that the link keeps on the machine; null: it keeps none. */
  readonly runner: StandingRunner | null;
  alive(): boolean;
  close(): void;
}

/** A link that does not say hello within so long hangs, milliseconds. */
const helloWithinMs = 2_000;

/** null: there is none, it can't be trusted, or it is another version's, which ends for that. */
export async function openLink(place: LinkPlace, version: string): Promise<OpenLink | null> {
  if (!isTrusted(place)) return null;
  const socket = await connected(place.socket);
  if (socket === null) return null;
  const peer = peerOver(socket, null);
  const limit = setTimeout(() => socket.destroy(), helloWithinMs);
  try {
    const said = (await peer.open('hello', { version }).result) as Hello;
    if (said.version === version) return { peer, runner: said.runner, alive: () => !socket.destroyed, close: () => socket.destroy() };
    await peer.open('leave', {}).result;
  } catch {
    // it is ending, or no link at all
  } finally {
    clearTimeout(limit);
  }
  socket.destroy();
  return null;
}

function connected(path: string): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = connectSocket(path);
    socket.once('error', () => resolve(null));
    socket.once('connect', () => resolve(socket));
  });
}

export function linkedConnector({ place, version, direct }: LinkedOptions): Connector & { standingRunner(): StandingRunner | null } {
  let link: OpenLink | null = null;
  let looking: Promise<OpenLink | null> | null = null;
  let own: Promise<Connector> | null = null;
  let closed = false;

  const past = async (): Promise<Connector> => {
    if (closed) throw new GpuRunError('internal', 'The connection was closed already.');
    own ??= direct();
    return await own;
  };
  /** null: from now on, without one. */
  const current = async (): Promise<OpenLink | null> => {
    if (own !== null || link?.alive()) return own === null ? link : null;
    looking ??= openLink(place, version).finally(() => {
      looking = null;
    });
    link = await looking;
    if (closed) link?.close();
    return closed ? null : link;
  };
  const either = async <T>(through: (peer: Peer) => Promise<T>, without: (connector: Connector) => Promise<T>): Promise<T> => {
    const used = await current();
    return used === null ? await without(await past()) : await through(used.peer);
  };

  return {
    connect: async (signal) => {
      const used = await current();
      if (used === null) return await (await past()).connect(signal);
      const call = used.peer.open('connect', {});
      try {
        await orAborted(resultOf(call), signal, () => call.cancel());
      } catch (error) {
        if (signal?.aborted) throw error;
        used.close(); // whatever is wrong with it: what the machine says to us counts
        await (await past()).connect(signal);
      }
    },
    alive: () => link?.alive() === true || own !== null,
    standingRunner: () => (link?.alive() ? link.runner : null),
    start: (argv, signal) =>
      either(
        async (peer) => {
          const call = peer.open('start', { argv });
          return await orAborted(startedCommand(call), signal, () => call.cancel());
        },
        (connector) => connector.start(argv, signal),
      ),
    // The user's keys go straight to the machine.
    terminal: async (argv, terminal) => await (await past()).terminal(argv, terminal),
    usersSsh: async (signal) => (await (await past()).usersSsh?.(signal)) ?? null,
    dial: (remote) =>
      either(
        (peer) => openedStream(peer.open('dial', { host: remote.host, port: remote.port }), remote),
        (connector) => connector.dial(remote),
      ),
    close: async () => {
      closed = true;
      link?.close();
      await (await own?.catch(() => null))?.close();
    },
  };
}

async function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined, stop: () => void): Promise<T> {
  if (signal === undefined) return await work;
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => {
    stop();
    reject(new GpuRunError('interrupted', 'Interrupted.', { cause: signal.reason }));
  };
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  work.catch(() => {});
  try {
    return await Promise.race([work, promise]);
  } catch (error) {
    throw linkLost(error);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
