/** The `local` provider's SSH server, as a machine to connect to. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type SshServer, startSshServer } from '../../src/providers/local/ssh-server.ts';
import { generateKeyPair, type KeyPair } from '../../src/transport/host-keys.ts';

export interface LocalServer {
  readonly folder: string;
  readonly home: string;
  readonly user: string;
  readonly hostKeys: KeyPair;
  readonly identityFile: string;
  readonly strangerFile: string;
  readonly port: number;
  connections(): number;
  /** The files stay, for `restart`. */
  stop(): Promise<void>;
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** `loginWithinMs`: as in `SshServerOptions`. */
export async function startLocalServer({ loginWithinMs }: { readonly loginWithinMs?: number } = {}): Promise<LocalServer> {
  const folder = mkdtempSync(join(tmpdir(), 'gpu-run-ssh-'));
  const home = join(folder, 'home');
  mkdirSync(home);
  const hostKeys = generateKeyPair();
  const client = generateKeyPair();
  const identityFile = join(folder, 'id');
  const strangerFile = join(folder, 'stranger');
  writeFileSync(identityFile, client.privateKey, { mode: 0o600 });
  writeFileSync(strangerFile, generateKeyPair().privateKey, { mode: 0o600 });
  const start = (port: number) =>
    startSshServer({
      host: '127.0.0.1',
      port,
      hostPrivateKey: hostKeys.privateKey,
      authorizedKey: client.publicKey,
      user: 'gpu',
      home,
      shell: '/bin/sh',
      env: { MACHINE: 'local' },
      ...(loginWithinMs === undefined ? {} : { loginWithinMs }),
    });
  let server: SshServer = await start(0);
  const { port } = server;
  return {
    folder,
    home,
    user: 'gpu',
    hostKeys,
    identityFile,
    strangerFile,
    port,
    connections: () => server.connections(),
    stop: () => server.close(),
    restart: async () => {
      await server.close();
      server = await start(port);
    },
    close: async () => {
      await server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
