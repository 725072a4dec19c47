import { join } from 'node:path';
import { connectTransport } from '../../src/transport/connect.ts';
import { generateKeyPair } from '../../src/transport/host-keys.ts';
import type { ConnectOptions } from '../../src/transport/transport.ts';
import { transportContract } from './transport.ts';
import { startLocalServer } from './transport-local-server.ts';

transportContract('ssh2 to the SSH server of local machines', {
  connect: connectTransport,
  start: async () => {
    const server = await startLocalServer();
    const access = { kind: 'own', host: '127.0.0.1', port: server.port, user: server.user, hostKeys: [server.hostKeys.publicKey] } as const;
    const options: ConnectOptions = { access, identityFile: server.identityFile, scratch: join(server.folder, 'scratch') };
    return {
      options,
      wrongHostKey: { ...options, access: { ...access, hostKeys: [generateKeyPair().publicKey] } },
      wrongIdentity: { ...options, identityFile: server.strangerFile },
      restart: server.restart,
      close: server.close,
    };
  },
});
