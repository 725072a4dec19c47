/** A Node whose OpenSSL has only some of the ciphers, as in FIPS mode, which knows no ChaCha20. */
import { expect, test, vi } from 'vitest';
import { startLocalServer } from '../../contract/transport-local-server.ts';
import { run } from '../../contract/transport-observe.ts';

// Before the library is loaded: it asks once.
vi.hoisted(() => {
  const crypto = process.getBuiltinModule('node:crypto') as { getCiphers: () => string[] };
  const all = crypto.getCiphers();
  crypto.getCiphers = () => all.filter((name) => !/chacha20/i.test(name));
});
const { connectSsh2 } = await import('../../../src/transport/ssh2.ts');

test('without ChaCha20 it connects all the same', async () => {
  const server = await startLocalServer();
  try {
    const access = { kind: 'own', host: '127.0.0.1', port: server.port, user: server.user, hostKeys: [server.hostKeys.publicKey] } as const;
    const transport = connectSsh2({ access, identityFile: server.identityFile, scratch: server.folder });
    try {
      expect((await run(transport.exec(['echo', 'hello']))).stdout.toString()).toBe('hello\n');
    } finally {
      await transport.close();
    }
  } finally {
    await server.close();
  }
});
