/** One WebSocket to Google's relay. The library is loaded with this file, and this file when a tunnel is opened. */
import type { Agent } from 'node:http';
import WebSocket from 'ws';
import type { GpuRunError } from '../../../../core/errors.ts';
import { largestData } from './frames.ts';
import { type Closing, handshakeRefused, relayUnreachable, type TunnelPlace } from './relay-error.ts';

export interface RelaySocket {
  /** Resolves when the bytes are with the operating system, or the socket is closed: then they may be lost. */
  send(message: Buffer): Promise<void>;
  pause(): void;
  resume(): void;
  /** After what was sent. */
  close(): void;
  /** At once. */
  destroy(): void;
}

export interface SocketEvents {
  message(message: Buffer): void;
  /** Once, after the last message. */
  closed(closing: Closing): void;
}

/** Source of subprotocol and origin: gcloud 528. */
const subprotocol = 'relay.tunnel.cloudproxy.app';
const origin = 'bot:iap-tunneler';

export interface SocketPlace extends TunnelPlace {
  /** Makes the connection. Default: straight to the relay. */
  readonly agent?: (url: URL) => Agent;
}

/** Events begin only after this has resolved. @throws GpuRunError `not-allowed`, `connection`; the signal's reason */
export async function openRelaySocket(url: URL, token: string, place: SocketPlace, events: SocketEvents, signal: AbortSignal): Promise<RelaySocket> {
  signal.throwIfAborted();
  const socket = new WebSocket(url, subprotocol, {
    ...(place.agent === undefined ? {} : { agent: place.agent(new URL(url.href.replace(/^ws/, 'http'))) }),
    headers: { Authorization: `Bearer ${token}` },
    origin,
    perMessageDeflate: false,
    followRedirects: false, // the token is for this host alone
    maxPayload: largestData + 64 * 1024,
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let refusal: GpuRunError | null = null;
  const abort = () => {
    reject(signal.reason);
    socket.terminate();
  };
  signal.addEventListener('abort', abort, { once: true });
  socket.once('unexpected-response', (request, response) => {
    refusal = handshakeRefused(response.statusCode ?? 0, place);
    response.resume();
    request.destroy();
    reject(refusal);
  });
  socket.on('error', (error) => reject(refusal ?? relayUnreachable(error, place)));
  socket.once('open', resolve);
  // What comes with the handshake waits for `resume`.
  socket.once('open', () => socket.pause());
  socket.on('message', (data) => events.message(data as Buffer));
  socket.once('close', (code, reason) => {
    reject(relayUnreachable(new Error('it closed the connection'), place));
    events.closed({
      code,
      reason: reason
        .toString('utf8')
        .replaceAll(/[^\x20-\x7e]/g, '')
        .slice(0, 200),
    });
  });
  try {
    await promise;
  } finally {
    signal.removeEventListener('abort', abort);
  }
  return {
    send: (message) => new Promise((done) => socket.send(message, () => done())),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    close: () => {
      socket.close(1000);
      socket.resume(); // the other side's goodbye must be read
    },
    destroy: () => socket.terminate(),
  };
}
