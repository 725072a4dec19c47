/** A port on this computer's loopback that leads to an address on the machine. May import core and this folder. */
import { createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { GpuRunError, systemErrorCode } from '../core/errors.ts';
import type { RemoteAddress } from './connector.ts';
import type { Forward } from './transport.ts';

/** Port 0 takes any free one. Each client gets a stream of its own; one whose stream can't be opened is disconnected. */
export async function openForward(localPort: number, remote: RemoteAddress, dial: (remote: RemoteAddress) => Promise<Duplex>): Promise<Forward> {
  const clients = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (client) => {
    clients.add(client);
    client.once('close', () => clients.delete(client));
    client.on('error', () => client.destroy());
    dial(remote).then(
      (stream) => join(client, stream),
      () => client.destroy(),
    );
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', (error) => reject(listenError(error, localPort)));
  server.listen({ host: '127.0.0.1', port: localPort }, resolve);
  await promise;

  const address = server.address();
  if (address === null || typeof address === 'string') throw new GpuRunError('internal', 'the forward has no port');
  return {
    port: address.port,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        for (const client of clients) client.destroy();
      }),
  };
}

/** Each direction ends by itself, as in TCP; an error on either side ends both. */
function join(client: Socket, stream: Duplex): void {
  const drop = () => {
    client.destroy();
    stream.destroy();
  };
  stream.on('error', drop);
  stream.once('close', () => client.destroySoon());
  client.once('close', () => stream.destroy());
  if (client.destroyed) {
    drop();
    return;
  }
  client.pipe(stream);
  stream.pipe(client);
}

function listenError(error: Error, port: number): GpuRunError {
  const code = systemErrorCode(error);
  if (code === 'EADDRINUSE') {
    return new GpuRunError('conflict', `Port ${port} of this computer is in use.`, {
      hints: ['Choose another local port, or 0 for any free one.'],
      cause: error,
    });
  }
  if (code === 'EACCES') {
    return new GpuRunError('not-allowed', `Port ${port} of this computer is for its administrator only.`, {
      hints: ['Choose a port above 1023.'],
      cause: error,
    });
  }
  return new GpuRunError('connection', `Port ${port} of this computer can't be listened on: ${error.message}`, { cause: error });
}
