/** Both transports in front of a real OpenSSH server with its own limits (10 channels a connection). */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Access } from '../../src/core/machine.ts';
import { connectTransport } from '../../src/transport/connect.ts';
import { generateKeyPair } from '../../src/transport/host-keys.ts';
import type { ConnectOptions } from '../../src/transport/transport.ts';
import { type TransportSubject, transportContract } from '../contract/transport.ts';
import { startSshd } from '../support/sshd.ts';

async function ssh2Subject(): Promise<TransportSubject> {
  const sshd = await startSshd();
  const access = { kind: 'own', host: '127.0.0.1', port: sshd.port, user: sshd.user, hostKeys: [sshd.hostKey] } as const;
  const options: ConnectOptions = { access, identityFile: sshd.identityFile, scratch: join(sshd.folder, 'scratch') };
  return {
    options,
    wrongHostKey: { ...options, access: { ...access, hostKeys: [generateKeyPair().publicKey] } },
    wrongIdentity: { ...options, identityFile: sshd.strangerFile },
    restart: sshd.restart,
    close: sshd.close,
  };
}

/** By ssh_config and known_hosts alone, as a user's own host is reached. */
async function opensshSubject(): Promise<TransportSubject> {
  const sshd = await startSshd();
  const scratch = mkdtempSync(join(tmpdir(), 'gpu-run-scratch-'));
  const access: Access = { kind: 'openssh', host: 'lab', port: null, user: null, hostKey: null, configFile: sshd.configFile, identityFile: null };
  const otherHosts = join(sshd.folder, 'other_known_hosts');
  const otherConfig = join(sshd.folder, 'other_ssh_config');
  writeFileSync(otherHosts, `[127.0.0.1]:${sshd.port} ${generateKeyPair().publicKey}\n`);
  writeFileSync(otherConfig, readFileSync(sshd.configFile, 'utf8').replace(sshd.knownHostsFile, otherHosts));
  const strangerConfig = join(sshd.folder, 'stranger_ssh_config');
  writeFileSync(strangerConfig, readFileSync(sshd.configFile, 'utf8').replace(sshd.identityFile, sshd.strangerFile));
  const options = { access, identityFile: null, scratch };
  return {
    options,
    wrongHostKey: { ...options, access: { ...access, configFile: otherConfig } },
    wrongIdentity: { ...options, access: { ...access, configFile: strangerConfig } },
    restart: sshd.restart,
    close: async () => {
      await sshd.close();
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}

transportContract('ssh2 to a real sshd', { connect: connectTransport, start: ssh2Subject });
transportContract('openssh to a real sshd', { connect: connectTransport, start: opensshSubject });
