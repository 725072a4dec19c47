/** What the system's `ssh` is started with for one host. May import core and this folder. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GpuRunError, systemErrorCode } from '../core/errors.ts';
import type { Access } from '../core/machine.ts';
import { parsePublicKey } from './host-keys.ts';
import { diagnoseOpenssh } from './openssh-diagnose.ts';
import { answersWithinMs, type ConnectOptions } from './transport.ts';

export type OpensshAccess = Extract<Access, { kind: 'openssh' }>;

/** The name under which a pinned key stands in the known_hosts file that is written for it. */
const pinnedAlias = 'gpu-run-pinned-host';

export interface SshArguments {
  /** Options for every call of `ssh` for this host; the host itself follows. */
  readonly options: readonly string[];
  readonly host: string;
  /** The user's config names a socket where another `ssh` may already keep a connection. */
  readonly userMayHaveMaster: boolean;
}

/** Asks `ssh` itself what the user's config says of the host. `folder`: private, for a known_hosts file. */
export async function sshArguments(access: OpensshAccess, options: ConnectOptions, folder: string, signal: AbortSignal): Promise<SshArguments> {
  if (access.host === '' || access.host.startsWith('-')) throw new GpuRunError('bad-input', `'${access.host}' can't be the name of a host.`);
  const place = [
    ...(access.configFile === null ? [] : ['-F', access.configFile]),
    ...(access.port === null ? [] : ['-p', String(access.port)]),
    ...(access.user === null ? [] : ['-l', access.user]),
    ...(access.identityFile === null ? [] : ['-i', access.identityFile, '-o', 'IdentitiesOnly=yes']),
  ];
  const [config, plain] = await Promise.all([
    resolvedConfig([...place, '-G', access.host], options, signal),
    resolvedConfig(['-F', 'none', '-G', access.host], options, signal).catch(() => null), // older versions want a file
  ]);
  return {
    host: access.host,
    userMayHaveMaster: access.hostKey === null && (config.get('controlpath') ?? 'none') !== 'none',
    options: [
      ...place,
      // Nobody is there to answer: whatever would be asked is refused instead.
      ...['-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=yes'],
      ...['-o', `ConnectTimeout=${seconds(options.timeoutMs ?? answersWithinMs)}`],
      ...['-o', `ServerAliveInterval=${seconds(options.keepaliveMs ?? 5_000)}`, '-o', 'ServerAliveCountMax=3'],
      // What the user set up for sessions by hand: not for each of our commands.
      ...['-o', 'LogLevel=ERROR', '-o', 'ClearAllForwardings=yes', '-o', 'RemoteCommand=none', '-o', 'ForwardX11=no'],
      ...cipherOrder(config.get('ciphers'), plain?.get('ciphers')),
      ...(access.hostKey === null ? [] : await pinned(access.hostKey, folder, config)),
    ],
  };
}

async function resolvedConfig(argv: string[], options: ConnectOptions, signal: AbortSignal): Promise<Map<string, string>> {
  const output = await new Promise<string>((resolve, reject) => {
    const child = execFile('ssh', argv, { signal, maxBuffer: 4 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else if (signal.aborted) reject(new GpuRunError('interrupted', 'Connecting was interrupted.', { cause: error }));
      else if (systemErrorCode(error) === 'ENOENT') reject(noSsh(error));
      else reject(diagnoseOpenssh(stderr, options));
    });
    child.stdin?.end();
  });
  return new Map(output.split('\n').map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]));
}

/**
 * The same ciphers with the fastest first, where nobody has chosen any: AES-GCM is worth 1.5x and more on bulk over OpenSSH's own order.
 * What a config names, be it the user's or the computer's, stays as it is. `unchosen`: what `ssh` takes without any config.
 */
function cipherOrder(ciphers: string | undefined, unchosen: string | undefined): string[] {
  if (ciphers === undefined || ciphers !== unchosen) return [];
  const allowed = ciphers.split(',');
  const fast = ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'].filter((cipher) => allowed.includes(cipher));
  return fast.length === 0 ? [] : ['-c', [...fast, ...allowed.filter((cipher) => !fast.includes(cipher))].join(',')];
}

/** Nothing but the pinned key counts. */
async function pinned(hostKey: string, folder: string, config: ReadonlyMap<string, string>): Promise<string[]> {
  const { type, blob } = parsePublicKey(hostKey);
  const file = join(folder, 'known_hosts');
  await writeFile(file, `${pinnedAlias} ${type} ${blob.toString('base64')}\n`, { mode: 0o600 });
  return [
    ...['-o', `HostKeyAlias=${pinnedAlias}`, '-o', `UserKnownHostsFile="${file.replaceAll('%', '%%')}"`],
    ...['-o', 'GlobalKnownHostsFile=/dev/null', '-o', 'VerifyHostKeyDNS=no', '-o', 'CheckHostIP=no', '-o', 'UpdateHostKeys=no'],
    ...(config.has('knownhostscommand') ? ['-o', 'KnownHostsCommand=none'] : []), // older versions don't know it
  ];
}

function seconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1000));
}

function noSsh(cause: unknown): GpuRunError {
  return new GpuRunError('unfit', "The program 'ssh' is not installed on this computer; hosts of your own are reached with it.", {
    hints: [
      'Install the OpenSSH client: `apt install openssh-client`, `dnf install openssh-clients`; macOS and Windows have it among their optional features.',
    ],
    cause,
  });
}
