/**
 * A stream to a port of an instance that has no public address, through Google's relay (Identity-Aware Proxy). It survives sockets
 * that break: what the relay has not confirmed is sent again on the next one, and each side tells the other how much it has.
 * The relay knows no half-closed stream: when our side ends, the tunnel is closed after the last byte was sent.
 */
import type { Agent } from 'node:http';
import { Duplex } from 'node:stream';
import type { Clock } from '../../../../core/clock.ts';
import { GpuRunError } from '../../../../core/errors.ts';
import { decodeFrame, encodeFrame, type Frame, largestData } from './frames.ts';
import { reconnecting } from './reconnecting.ts';
import { type Closing, mayReconnect, type TunnelPlace, tunnelClosed, tunnelLost } from './relay-error.ts';
import { openRelaySocket, type RelaySocket } from './relay-socket.ts';
import { connectUrl, googlesRelay, reconnectUrl } from './relay-url.ts';
import { createUnconfirmed } from './unconfirmed.ts';

export interface IapTunnelOptions extends TunnelPlace {
  /** Default: Google's. Plain `ws:` on loopback alone. */
  readonly relayUrl?: string;
  /** Asked for each socket: a token lives an hour, a tunnel may live longer. */
  readonly token: (signal: AbortSignal) => Promise<string>;
  readonly clock: Clock;
  /** Makes the connections. Default: straight to the relay. */
  readonly agent?: (url: URL) => Agent;
  /** For one attempt to take a broken tunnel up again, milliseconds. Default 30 s. */
  readonly attemptMs?: number;
}

/** Source: gcloud 528. */
const ackAfter = 2 * largestData;

/** So many bytes may be under way unconfirmed; then writing waits. */
const window = 2 * 1024 * 1024;

/**
 * Resolves when the relay has connected to the port. `signal` bounds that alone; the stream lives until it is destroyed or either side ends.
 * @throws GpuRunError `not-allowed` or `connection`, with what to do; the signal's reason
 */
export async function openIapTunnel(options: IapTunnelOptions, signal: AbortSignal): Promise<Duplex> {
  const { relayUrl = googlesRelay, clock, zone, attemptMs = 30_000 } = options;
  const over = new AbortController();
  const sent = createUnconfirmed();
  let current: RelaySocket | null = null;
  let sid = '';
  let received = 0n;
  let acked = 0n;
  let finished = false; // our side has ended
  let moved = true; // anything came over the last socket, or was confirmed
  let goodbye = false; // and the relay was told
  let wake = Promise.withResolvers<void>(); // something has changed that a writer waits for
  const changed = () => {
    wake.resolve();
    wake = Promise.withResolvers();
  };

  /** Resolves when the socket's first frame has come; it is `current` from then on, until it closes. */
  const attach = async (url: URL, expected: 'connected' | 'reconnected', limit: AbortSignal): Promise<void> => {
    const first = Promise.withResolvers<void>();
    first.promise.catch(() => {});
    let socket: RelaySocket | null = null;
    let greeted = false;
    const fail = (error: unknown) => {
      if (greeted) stream.destroy(error as Error);
      else first.reject(error);
    };
    const onFrame = (frame: Frame, from: RelaySocket) => {
      if (frame.kind === 'unknown') return;
      if (greeted) return take(frame, from);
      greet(frame, expected, from);
      greeted = true;
      first.resolve();
    };
    const onClosed = (closing: Closing) => {
      if (!greeted) first.reject(Object.assign(tunnelClosed(closing, options), { final: !mayReconnect(closing) }));
      else if (current === socket) void lost(closing);
    };
    const message = (bytes: Buffer) => {
      try {
        if (socket !== null) onFrame(decodeFrame(bytes), socket);
      } catch (error) {
        fail(error);
      }
    };
    socket = await openRelaySocket(url, await options.token(limit), options, { message, closed: onClosed }, limit);
    const abort = () => first.reject(limit.reason);
    limit.addEventListener('abort', abort, { once: true });
    if (limit.aborted) abort();
    socket.resume();
    try {
      await first.promise;
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      limit.removeEventListener('abort', abort);
    }
  };

  const greet = (frame: Frame, expected: 'connected' | 'reconnected', socket: RelaySocket) => {
    if (frame.kind !== expected) throw new GpuRunError('protocol', `Google's relay began with '${frame.kind}' instead of '${expected}'.`, { retry: 'same' });
    if (frame.kind === 'connected') sid = frame.sid;
    if (frame.kind === 'reconnected') sent.confirm(frame.received);
    current = socket;
    moved = expected === 'connected';
    goodbye = false;
    for (const bytes of sent.chunks()) void socket.send(encodeFrame({ kind: 'data', bytes }));
    if (finished) sayGoodbye();
    changed();
  };

  const take = (frame: Frame, socket: RelaySocket) => {
    moved = true;
    if (frame.kind === 'ack') {
      sent.confirm(frame.received);
      return changed();
    }
    if (frame.kind !== 'data') throw new GpuRunError('protocol', `Google's relay sent '${frame.kind}' in the middle.`, { retry: 'same' });
    if (stream.destroyed) return;
    received += BigInt(frame.bytes.length);
    if (received - acked > ackAfter) {
      acked = received;
      void socket.send(encodeFrame({ kind: 'ack', received }));
    }
    if (!stream.push(frame.bytes)) socket.pause();
  };

  /** The socket is gone: the tunnel is taken up on another one, or the stream ends. */
  const lost = async (closing: Closing): Promise<void> => {
    current = null;
    if (stream.destroyed) return;
    // Without the relay's own goodbye, what it has not confirmed may be lost.
    if (closing.code === 1000 || (goodbye && sent.size === 0)) {
      stream.push(null);
      return;
    }
    const error = tunnelClosed(closing, options);
    if (!mayReconnect(closing)) {
      stream.destroy(error);
      return;
    }
    const again = async () => {
      const told = received;
      // A relay that says nothing must not keep us from the next attempt.
      await attach(reconnectUrl(relayUrl, zone, sid, told), 'reconnected', AbortSignal.any([over.signal, AbortSignal.timeout(attemptMs)]));
      acked = told;
    };
    const failure = await reconnecting(again, { clock, atOnce: moved, signal: over.signal });
    if (failure !== null) stream.destroy(tunnelLost(options, failure.cause ?? error));
  };

  const sayGoodbye = () => {
    if (current === null) return;
    goodbye = true;
    current.close();
  };

  const write = async (bytes: Buffer): Promise<void> => {
    for (let at = 0; at < bytes.length; at += largestData) {
      const chunk = bytes.subarray(at, at + largestData);
      while (!stream.destroyed && (current === null || sent.size >= window)) await wake.promise;
      if (stream.destroyed) return;
      sent.add(chunk); // sent in the same turn: a new socket sends all that is here
      await current?.send(encodeFrame({ kind: 'data', bytes: chunk }));
    }
  };

  const stream: Duplex = new Duplex({
    read: () => current?.resume(),
    write: (chunk: Buffer, _, done) => void write(Buffer.from(chunk)).then(() => done(), done),
    final: (done) => {
      finished = true;
      sayGoodbye();
      done();
    },
    destroy: (error, done) => {
      over.abort(new GpuRunError('interrupted', 'The tunnel was closed.'));
      current?.destroy();
      current = null;
      done(error);
      changed();
    },
  });
  try {
    await attach(connectUrl(relayUrl, options), 'connected', signal);
  } catch (error) {
    stream.on('error', () => {}).destroy();
    throw error;
  }
  return stream;
}
