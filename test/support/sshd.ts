/** A real OpenSSH server of our own on a loopback port, for the lab tests: nothing of /etc/ssh is used or changed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { generateKeyPair } from '../../src/transport/host-keys.ts';

export interface Sshd {
  readonly folder: string;
  readonly port: number;
  readonly user: string;
  /** `ssh-ed25519 AAAA...` */
  readonly hostKey: string;
  /** Process id of what was started: the server, or what runs it. */
  pid(): number;
  /** The private key that is let in, and one that isn't. */
  readonly identityFile: string;
  readonly strangerFile: string;
  readonly knownHostsFile: string;
  /** An ssh_config with the host `lab`. */
  readonly configFile: string;
  /** Kills the server with all its connections. */
  stop(): Promise<void>;
  /** Again at the same port. */
  start(): Promise<void>;
  /** Both. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export interface SshdOptions {
  /** Default: who runs the tests. As root any user will do whose account isn't locked. */
  readonly user?: string;
  /** Further lines of sshd_config; they come first, so they win. */
  readonly config?: readonly string[];
  /** Files that don't exist for those who log in (mount namespace; root only). */
  readonly hidden?: readonly string[];
  /** File -> what those who log in find in its place (mount namespace; root only). */
  readonly replaced?: Readonly<Record<string, string>>;
  /** Where it listens; default 127.0.0.1. */
  readonly address?: string;
  /** Words in front of the server's own: a program that runs it somewhere else, and ends with it. */
  readonly within?: readonly string[];
}

export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
  const { user = userInfo().username, config = [], hidden = [], replaced = {}, address = '127.0.0.1', within = [] } = options;
  const folder = mkdtempSync(join(tmpdir(), 'gpu-run-sshd-'));
  chmodSync(folder, 0o755); // the server reads authorized_keys as the user
  const [host, client, stranger] = [generateKeyPair(), generateKeyPair(), generateKeyPair()];
  const port = await freePort();
  const file = (name: string, text: string, mode = 0o600) => {
    writeFileSync(join(folder, name), text, { mode });
    return join(folder, name);
  };
  const hostKeyFile = file('host_key', host.privateKey);
  const keysFile = file('authorized_keys', `${client.publicKey}\n`, 0o644);
  const serverConfig = [
    ...config,
    `Port ${port}`,
    `ListenAddress ${address}`,
    `HostKey ${hostKeyFile}`,
    'PidFile none',
    `AuthorizedKeysFile ${keysFile}`,
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin prohibit-password',
    'UsePAM no',
    'StrictModes no',
    'UseDNS no',
    'MaxStartups 100:30:200',
    'Subsystem sftp internal-sftp',
  ];
  const serverConfigFile = file('sshd_config', `${serverConfig.join('\n')}\n`);
  const identityFile = file('id', client.privateKey);
  const knownHostsFile = file('known_hosts', `[${address}]:${port} ${host.publicKey}\n`);
  const clientConfig = ['Host lab', `HostName ${address}`, `Port ${port}`, `User ${user}`, `IdentityFile ${identityFile}`, 'IdentitiesOnly yes'];
  const configFile = file('ssh_config', `${[...clientConfig, `UserKnownHostsFile ${knownHostsFile}`, 'GlobalKnownHostsFile /dev/null'].join('\n')}\n`);

  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true }); // root's sshd refuses to start without
  const mounts = [...hidden.map((place) => ['/dev/null', place]), ...Object.entries(replaced).map(([place, found]) => [found, place])].flat();
  let server = await listen(serverConfigFile, mounts, within);
  const start = async () => {
    server = await listen(serverConfigFile, mounts, within);
  };
  return {
    folder,
    port,
    user,
    hostKey: host.publicKey,
    pid: () => server.pid ?? -1,
    identityFile,
    strangerFile: file('stranger', stranger.privateKey),
    knownHostsFile,
    configFile,
    stop: () => kill(server),
    start,
    restart: async () => {
      await kill(server);
      await start();
    },
    close: async () => {
      await kill(server);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** /dev/null in a file's place can't be run: for the one who logs in there is no such program. */
const mountAndServe = 'config=$1; shift; while [ $# -gt 0 ]; do mount --bind "$1" "$2" || exit 1; shift 2; done; exec /usr/sbin/sshd -D -e -f "$config"';

async function listen(configFile: string, mounts: readonly string[], within: readonly string[]): Promise<ChildProcess> {
  const serve =
    mounts.length === 0 ? ['/usr/sbin/sshd', '-D', '-e', '-f', configFile] : ['unshare', '--mount', 'sh', '-c', mountAndServe, 'sh', configFile, ...mounts];
  const argv = [...within, ...serve];
  const server = spawn(argv[0] ?? '', argv.slice(1), { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.once('exit', () => reject(new Error(`sshd did not start: ${said}`)));
    server.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.includes('Server listening on')) resolve();
    });
  });
  return server;
}

/** The listening process, and those that it left in charge of connections. */
async function kill(server: ChildProcess): Promise<void> {
  if (server.pid === undefined || server.exitCode !== null || server.signalCode !== null) return;
  const exited = new Promise((resolve) => server.once('exit', resolve));
  for (const pid of [server.pid, ...sshdBelow(server.pid)]) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // it has ended
    }
  }
  await exited;
}

function sshdBelow(parent: number): number[] {
  const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && statusOf(name).parent === parent && statusOf(name).name.startsWith('sshd'));
  return children.flatMap((name) => [Number(name), ...sshdBelow(Number(name))]);
}

function statusOf(pid: string): { readonly name: string; readonly parent: number } {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return { name: stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')')), parent: Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) };
  } catch {
    return { name: '', parent: 0 };
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
