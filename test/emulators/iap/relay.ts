/**
 * Google's TCP relay on loopback: speaks the documented frames strictly, connects to real ports, and cuts connections where a test
 * tells it to. A client that breaks the protocol is closed with a code of its own and noted in `complaints`.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';

export interface FakeRelayOptions {
  /** The port on loopback that stands for `instance` and `port`; null: nothing listens there. */
  readonly target: (instance: string, port: number) => number | null;
  /** Tokens that are let in; default any. */
  readonly accepts?: (token: string) => boolean;
  /** After so many bytes of a socket (both directions) it is cut; asked for each socket. Default never. */
  readonly cutAfter?: () => number;
  /** Code of such a cut; 1006: without a goodbye. Default that. */
  readonly cutCode?: number;
  /** So many attempts to take a tunnel up again are not answered. Default 0. */
  readonly silentAttempts?: number;
}

export interface FakeRelay {
  readonly url: string;
  /** Sockets so far: `connect` and `reconnect`. */
  readonly requests: readonly URL[];
  readonly complaints: readonly string[];
  /** Tunnels that are open now. */
  readonly tunnels: number;
  /** Cuts all sockets, as a network that goes away. */
  cutAll(): void;
  /** Cuts all sockets and forgets their tunnels. */
  forget(): void;
  /** From now on nothing is confirmed. */
  holdAcks(): void;
  close(): Promise<void>;
}

interface Tunnel {
  readonly sid: string;
  readonly backend: Socket;
  socket: WebSocket | null;
  received: number;
  acked: number;
  /** Of the machine's bytes: all that the client has not confirmed. */
  unconfirmed: Buffer;
  confirmed: number;
  backendEnded: boolean;
}

const largest = 16_384;

export async function startFakeRelay(options: FakeRelayOptions): Promise<FakeRelay> {
  const tunnels = new Map<string, Tunnel>();
  const requests: URL[] = [];
  const complaints: string[] = [];
  let acking = true;
  let silent = options.silentAttempts ?? 0;
  const http = createServer((_, response) => response.writeHead(404).end());
  const upgrades = new WebSocketServer({ noServer: true, perMessageDeflate: false, handleProtocols: () => 'relay.tunnel.cloudproxy.app' });

  const complain = (socket: WebSocket, code: number, text: string) => {
    complaints.push(text);
    socket.close(code, text);
  };

  http.on('upgrade', (request: IncomingMessage, raw: Duplex, head: Buffer) => {
    const url = new URL(request.url ?? '/', 'http://relay');
    requests.push(url);
    raw.on('error', () => {});
    const refuse = (status: number) => raw.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    const { authorization = '', origin, 'sec-websocket-protocol': protocol } = request.headers;
    const token = /^Bearer (.+)$/.exec(authorization)?.[1];
    if (url.pathname === '/v4/reconnect' && silent-- > 0) return void raw.on('end', () => raw.destroy()).resume();
    if (token === undefined || !(options.accepts ?? (() => true))(token)) return refuse(403);
    if (origin !== 'bot:iap-tunneler' || protocol !== 'relay.tunnel.cloudproxy.app') return refuse(400);
    upgrades.handleUpgrade(request, raw, head, (socket) => {
      socket.on('error', () => {});
      if (url.pathname === '/v4/connect') void open(socket, url);
      else if (url.pathname === '/v4/reconnect') resume(socket, url);
      else complain(socket, 4008, `no such path: ${url.pathname}`);
    });
  });

  const open = async (socket: WebSocket, { searchParams: query }: URL) => {
    for (const key of ['project', 'zone', 'instance', 'interface', 'newWebsocket']) if (!query.get(key)) return complain(socket, 4000, `${key} is missing`);
    const port = options.target(query.get('instance') ?? '', Number(query.get('port')));
    if (port === null) return socket.close(4003, 'failed to connect to backend');
    const backend = connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true });
    try {
      await once(backend, 'connect');
    } catch {
      return socket.close(4003, 'failed to connect to backend');
    }
    const tunnel: Tunnel = { sid: randomUUID(), backend, socket: null, received: 0, acked: 0, unconfirmed: Buffer.alloc(0), confirmed: 0, backendEnded: false };
    tunnels.set(tunnel.sid, tunnel);
    backend.on('error', () => {});
    backend.on('data', (bytes) => {
      tunnel.unconfirmed = Buffer.concat([tunnel.unconfirmed, bytes]);
      if (tunnel.unconfirmed.length > 8 * 1024 * 1024) backend.pause();
      for (let at = 0; at < bytes.length; at += largest) sendData(tunnel, bytes.subarray(at, at + largest));
    });
    backend.on('end', () => {
      tunnel.backendEnded = true;
      tunnel.socket?.close(1000);
    });
    backend.on('close', () => tunnels.delete(tunnel.sid));
    const hello = Buffer.from(`\0\x01\0\0\0\0${tunnel.sid}`, 'latin1');
    hello.writeUInt32BE(tunnel.sid.length, 2);
    attach(tunnel, socket, hello);
  };

  const resume = (socket: WebSocket, { searchParams: query }: URL) => {
    const tunnel = tunnels.get(query.get('sid') ?? '');
    if (tunnel === undefined) return socket.close(4001, 'unknown sid');
    const ack = Number(query.get('ack'));
    if (!confirm(tunnel, ack)) return complain(socket, 4005, `bad ack ${ack}`);
    tunnel.socket?.terminate();
    const hello = Buffer.alloc(10);
    hello.writeUInt16BE(2);
    hello.writeBigUInt64BE(BigInt(tunnel.received), 2);
    attach(tunnel, socket, hello);
    for (let at = 0; at < tunnel.unconfirmed.length; at += largest) sendData(tunnel, tunnel.unconfirmed.subarray(at, at + largest));
    if (tunnel.backendEnded) socket.close(1000);
  };

  const attach = (tunnel: Tunnel, socket: WebSocket, hello: Buffer) => {
    tunnel.socket = socket;
    let budget = options.cutAfter?.() ?? Number.POSITIVE_INFINITY;
    const spend = (bytes: number) => {
      budget -= bytes;
      if (budget > 0 || tunnel.socket !== socket) return;
      tunnel.socket = null; // what it still brings is lost, its goodbye too
      cut(socket);
    };
    spenders.set(socket, spend);
    socket.send(hello);
    socket.on('message', (message: Buffer) => take(tunnel, socket, message));
    socket.on('close', (code) => {
      if (tunnel.socket !== socket) return;
      tunnel.socket = null;
      if (code === 1000) tunnel.backend.end();
    });
  };

  const spenders = new WeakMap<WebSocket, (bytes: number) => void>();
  const cut = (socket: WebSocket) => {
    const { cutCode = 1006 } = options;
    if (cutCode === 1006) socket.terminate();
    else socket.close(cutCode, 'cut');
  };

  const take = (tunnel: Tunnel, socket: WebSocket, message: Buffer) => {
    if (tunnel.socket !== socket || socket.readyState !== socket.OPEN) return; // bytes that a cut has lost
    const tag = message.readUInt16BE(0);
    if (tag === 7) {
      if (!confirm(tunnel, Number(message.readBigUInt64BE(2)))) complain(socket, 4006, 'invalid ack');
      return;
    }
    const bytes = message.subarray(6);
    if (tag !== 4) return complain(socket, 4008, `tag ${tag}`);
    if (bytes.length !== message.readUInt32BE(2) || bytes.length > largest || bytes.length === 0) return complain(socket, 4013, `${bytes.length} bytes`);
    tunnel.received += bytes.length;
    tunnel.backend.write(bytes);
    if (acking && tunnel.received - tunnel.acked > 2 * largest) {
      tunnel.acked = tunnel.received;
      const ack = Buffer.alloc(10);
      ack.writeUInt16BE(7);
      ack.writeBigUInt64BE(BigInt(tunnel.received), 2);
      socket.send(ack);
    }
    spenders.get(socket)?.(bytes.length);
  };

  const sendData = (tunnel: Tunnel, bytes: Buffer) => {
    const { socket } = tunnel;
    if (socket === null || socket.readyState !== socket.OPEN) return;
    const head = Buffer.alloc(6);
    head.writeUInt16BE(4);
    head.writeUInt32BE(bytes.length, 2);
    socket.send(Buffer.concat([head, bytes]));
    spenders.get(socket)?.(bytes.length);
  };

  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const { port } = http.address() as { port: number };
  return {
    url: `ws://127.0.0.1:${port}/v4/`,
    requests,
    complaints,
    get tunnels() {
      return tunnels.size;
    },
    cutAll: () => {
      for (const client of [...tunnels.values()]) client.socket?.terminate();
    },
    forget: () => {
      const sockets = [...tunnels.values()].map(({ socket }) => socket);
      tunnels.clear();
      for (const socket of sockets) socket?.terminate();
    },
    holdAcks: () => {
      acking = false;
    },
    close: async () => {
      for (const { backend, socket } of tunnels.values()) {
        socket?.terminate();
        backend.destroy();
      }
      http.closeAllConnections();
      await new Promise((done) => http.close(done));
    },
  };
}

/** False: the client confirms what it was not sent, or takes back what it has confirmed. */
function confirm(tunnel: Tunnel, ack: number): boolean {
  const more = ack - tunnel.confirmed;
  if (!Number.isSafeInteger(ack) || more < 0 || more > tunnel.unconfirmed.length) return false;
  tunnel.confirmed = ack;
  tunnel.unconfirmed = tunnel.unconfirmed.subarray(more);
  tunnel.backend.resume();
  return true;
}
