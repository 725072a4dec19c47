import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe } from 'vitest';
import type { Access } from '../../src/core/machine.ts';
import { connectTransport } from '../../src/transport/connect.ts';
import { generateKeyPair } from '../../src/transport/host-keys.ts';
import { transportContract } from './transport.ts';
import { startLocalServer } from './transport-local-server.ts';

describe.skipIf(spawnSync('ssh', ['-V']).error !== undefined)('the ssh program', () => {
  transportContract('openssh to the SSH server of local machines, its key pinned', {
    connect: connectTransport,
    start: async () => {
      const server = await startLocalServer();
      const configFile = join(server.folder, 'config');
      writeFileSync(configFile, `Host box\n  HostName 127.0.0.1\n  Port ${server.port}\n  User ${server.user}\n`);
      const access: Access = {
        kind: 'openssh',
        host: 'box',
        port: null,
        user: null,
        hostKey: server.hostKeys.publicKey,
        configFile,
        identityFile: server.identityFile,
      };
      const options = { access, identityFile: null, scratch: join(server.folder, 'scratch') };
      return {
        options,
        wrongHostKey: { ...options, access: { ...access, hostKey: generateKeyPair().publicKey } },
        wrongIdentity: { ...options, access: { ...access, identityFile: server.strangerFile } },
        restart: server.restart,
        close: server.close,
      };
    },
  });
});
