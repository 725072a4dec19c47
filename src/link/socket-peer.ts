/** Calls over a unix socket. May import core and protocol. */
import type { Socket } from 'node:net';
import { crc32 } from 'node:zlib';
import { PeerClosedError } from '../protocol/call-state.ts';
import { type CallHandler, Peer } from '../protocol/peer.ts';

/** Ends with the socket, and ends it when the other end breaks the protocol. `answer` is null at the end that only calls. */
export function peerOver(socket: Socket, answer: CallHandler | null): Peer {
  const write = (...parts: readonly Uint8Array[]) =>
    new Promise<void>((resolve, reject) => {
      const last = parts.length - 1;
      socket.cork();
      for (const [index, part] of parts.entries()) socket.write(part, index === last ? (error) => (error ? reject(error) : resolve()) : undefined);
      socket.uncork();
    });
  const peer = new Peer(write, answer, crc32);
  socket.on('data', (bytes: Uint8Array) => void peer.feed(bytes).catch(() => socket.destroy()));
  socket.on('error', () => {}); // 'close' follows
  socket.once('close', () => peer.close(new PeerClosedError('the other end is gone')));
  return peer;
}
