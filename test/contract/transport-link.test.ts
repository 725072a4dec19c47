/** Everything that goes through a transport goes through a link the same way. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { systemClock } from '../../src/core/clock.ts';
import { linkedConnector } from '../../src/link/link-connector.ts';
import { linkPlace } from '../../src/link/place.ts';
import { serveLink } from '../../src/link/serve-link.ts';
import { loadConnector } from '../../src/transport/connect.ts';
import { generateKeyPair } from '../../src/transport/host-keys.ts';
import { lazyTransport } from '../../src/transport/lazy-transport.ts';
import type { ConnectOptions, Transport } from '../../src/transport/transport.ts';
import { transportContract } from './transport.ts';
import { startLocalServer } from './transport-local-server.ts';

let right: ConnectOptions | null = null;

/** With a link of its own that has not connected yet. Past it there is a way only for who expects another key: a real link could not have connected. */
function connectByLink(options: ConnectOptions): Transport {
  const folder = join(options.scratch, '..', 'link');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const place = linkPlace(folder, crypto.randomUUID());
  if (place === null) throw new Error('no room for a socket');
  const over = new AbortController();
  const serving = loadConnector(options).then((connector) =>
    serveLink({ place, version: '1', connector, spare: null, idleMs: 60_000, isOver: () => false, clock: systemClock, signal: over.signal }),
  );
  const direct = async () => {
    if (options === right) throw new Error('past the link');
    return await loadConnector(options);
  };
  const transport = lazyTransport(async () => {
    while (!existsSync(place.socket)) await pause(1);
    return linkedConnector({ place, version: '1', direct });
  });
  return {
    ...transport,
    close: async () => {
      await transport.close();
      over.abort();
      await serving;
    },
  };
}

transportContract('a link to the SSH server of local machines', {
  connect: connectByLink,
  start: async () => {
    const server = await startLocalServer();
    const access = { kind: 'own', host: '127.0.0.1', port: server.port, user: server.user, hostKeys: [server.hostKeys.publicKey] } as const;
    const options: ConnectOptions = { access, identityFile: server.identityFile, scratch: join(server.folder, 'scratch') };
    right = options;
    return {
      options,
      wrongHostKey: { ...options, access: { ...access, hostKeys: [generateKeyPair().publicKey] } },
      wrongIdentity: { ...options, identityFile: server.strangerFile },
      restart: server.restart,
      close: server.close,
    };
  },
});
