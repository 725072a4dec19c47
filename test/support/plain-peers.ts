/** rsync and SFTP to a folder of this computer, without SSH: by the real rsync and OpenSSH's real server. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { Duplex } from 'node:stream';
import type { PlainPeer } from '../../src/sync/plain-peer.ts';
import { rsyncPeer } from '../../src/sync/rsync-peer.ts';
import { openSftp } from '../../src/sync/sftp-client.ts';
import { sftpPeer } from '../../src/sync/sftp-peer.ts';

/** What stands for `ssh`: drops the host's name, and runs the rest here. Its words need quotes. */
const hereInsteadOfSsh = ['sh', '-c', `shift; : "it's a  space"; exec "$@"`, 'ssh'];

export function rsyncHere(root: string, staging: string): PlainPeer {
  return rsyncPeer({
    ssh: hereInsteadOfSsh,
    host: 'here',
    root,
    staging,
    run: async ([program = '', ...argv], input) => {
      const { status, stderr } = spawnSync(program, argv, { input, encoding: 'utf8' });
      return { code: status ?? 255, stderr };
    },
  });
}

export async function sftpHere(root: string): Promise<PlainPeer> {
  const server = spawn(sftpServer(), [], { stdio: ['pipe', 'pipe', 'inherit'] });
  const stream = Duplex.from({ readable: server.stdout, writable: server.stdin });
  stream.once('close', () => server.kill());
  return sftpPeer(await openSftp(stream), root);
}

function sftpServer(): string {
  const places = ['/usr/lib/openssh/sftp-server', '/usr/libexec/sftp-server', '/usr/libexec/openssh/sftp-server', '/usr/lib/ssh/sftp-server'];
  return execFileSync('sh', ['-c', 'for file; do [ -x "$file" ] && echo "$file" && break; done', 'sh', ...places], { encoding: 'utf8' }).trim();
}
