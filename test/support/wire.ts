/** A wire that can be cut, between the system's OpenSSH client and a real server. For vitest files only. */
import { writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { type Sshd, startSshd } from './sshd.ts';

interface Wire {
  /** An ssh_config with the host `wire`, which is the server behind this wire. */
  readonly configFile: string;
  /** Connections that were cut. */
  cut(): number;
  close(): Promise<void>;
}

interface WiredServer {
  readonly sshd: Sshd;
  readonly wire: Wire;
}

/** A server and a wire to it for each test of a file; to be read in tests and hooks, not before. */
export function useWiredServer(): WiredServer {
  let open: WiredServer | null = null;
  const now = (): WiredServer => {
    if (open === null) throw new Error('there is a server in tests and hooks only');
    return open;
  };
  beforeEach(async () => {
    const sshd = await startSshd();
    open = { sshd, wire: await startWire(sshd) };
  });
  afterEach(async () => {
    await open?.wire.close();
    await open?.sshd.close();
    open = null;
  });
  return {
    get sshd() {
      return now().sshd;
    },
    get wire() {
      return now().wire;
    },
  };
}

/** Passes bytes on to the server; `cut` resets every connection, as a router that has forgotten them does. */
async function startWire(sshd: Sshd): Promise<Wire> {
  const ends = new Set<Socket>();
  const server: Server = createServer((near) => {
    const far = connect(sshd.port, '127.0.0.1');
    for (const socket of [near, far]) {
      ends.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => ends.delete(socket));
    }
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = () => {
    const count = ends.size / 2;
    for (const socket of ends) socket.resetAndDestroy();
    return count;
  };
  return {
    configFile: writeConfig(sshd, (server.address() as { port: number }).port),
    cut,
    close: async () => {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function writeConfig(sshd: Sshd, port: number): string {
  const knownHosts = join(sshd.folder, 'wire_known_hosts');
  writeFileSync(knownHosts, `behind-the-wire ${sshd.hostKey}\n`);
  const lines = [
    'Host wire',
    'HostName 127.0.0.1',
    `Port ${port}`,
    'HostKeyAlias behind-the-wire',
    `User ${sshd.user}`,
    `IdentityFile ${sshd.identityFile}`,
    'IdentitiesOnly yes',
    `UserKnownHostsFile ${knownHosts}`,
    'GlobalKnownHostsFile /dev/null',
  ];
  const file = join(sshd.folder, 'wire_config');
  writeFileSync(file, `${lines.join('\n')}\n`);
  return file;
}
