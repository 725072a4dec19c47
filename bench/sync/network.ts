/** Where the bench's two ends are: on one computer, or with a line between them that is as slow as a real one. */
import { spawnSync } from 'node:child_process';
import { accessSync, appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Sshd, startSshd } from '../../test/support/sshd.ts';

export type LinkName = 'loopback' | 'wan' | 'fat';

export interface Link {
  readonly title: string;
  /** Of the line; null: there is none between the two. */
  readonly line: { readonly roundTripMs: number; readonly megabits: number; readonly queueKb: number } | null;
}

export const links: Readonly<Record<LinkName, Link>> = {
  loopback: { title: 'loopback', line: null },
  wan: { title: '40 ms, 200 Mbit/s', line: { roundTripMs: 40, megabits: 200, queueKb: 2048 } },
  fat: { title: '40 ms, 1,000 Mbit/s', line: { roundTripMs: 40, megabits: 1000, queueKb: 5120 } },
};

export interface Network extends AsyncDisposable {
  readonly link: Link;
  readonly sshd: Sshd;
  readonly address: string;
  /** The process that all of the far end comes from; and that of the line, null where there is none. */
  readonly serverPid: number;
  readonly linePid: number | null;
  /** An ssh_config for those that do not ask for the fastest cipher themselves: the host `lab`, with the cipher that gpu-run asks for. */
  readonly peersConfig: string;
  /** Home folder of whoever logs in. */
  readonly farHome: string;
  /** Bytes on the wire so far, both ways, as the network device counts them; null where others use it too. */
  wireBytes(): number | null;
}

/** True in a network namespace of our own, which is brought up then: nobody else's bytes are counted, and devices can be made. */
export function ownNamespace(): boolean {
  if (process.env['BENCH_OWN_NETWORK'] !== '1') return false;
  return spawnSync('ip', ['link', 'set', 'lo', 'up']).status === 0;
}

/** Why there can't be a line; null: there can. */
export function lineProblem(isOwn: boolean): string | null {
  if (!isOwn) return 'it needs root, `unshare` and `ip`, for network namespaces of its own';
  try {
    accessSync('/dev/net/tun');
  } catch {
    return 'this computer has no /dev/net/tun';
  }
  return spawnSync('cc', ['--version']).status === 0 ? null : 'it needs a C compiler (`cc`)';
}

/** `room`: a folder for the compiled line. `farHome`: see above. */
export async function openNetwork(name: LinkName, isOwn: boolean, room: string, farHome: string): Promise<Network> {
  const link = links[name];
  const address = link.line === null ? '127.0.0.1' : '10.79.0.2';
  // Node as gpu-run brings it along where there is none. SHLVL: else bash takes a command over SSH for a login, and reads its files.
  const config = [`SetEnv PATH=${join(process.execPath, '..')}:/usr/local/bin:/usr/bin:/bin HOME=${farHome} SHLVL=2`, 'MaxSessions 64'];
  const sshd = await startSshd({ address, config, within: link.line === null ? [] : lineWords(link.line, room) });
  const peersConfig = join(sshd.folder, 'peers_config');
  writeFileSync(peersConfig, readFileSync(sshd.configFile));
  appendFileSync(peersConfig, 'Ciphers aes128-gcm@openssh.com\n');
  return {
    link,
    sshd,
    address,
    serverPid: link.line === null ? sshd.pid() : childOf(sshd.pid()),
    linePid: link.line === null ? null : sshd.pid(),
    peersConfig,
    farHome,
    wireBytes: () => (isOwn ? countBytes(readFileSync('/proc/self/net/dev', 'latin1'), link.line === null ? 'lo' : 'line0') : null),
    [Symbol.asyncDispose]: () => sshd.close(),
  };
}

function childOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]);
}

function lineWords({ roundTripMs, megabits, queueKb }: NonNullable<Link['line']>, room: string): string[] {
  const program = join(room, 'line');
  const compiled = spawnSync('cc', ['-O2', '-o', program, join(import.meta.dirname, 'line.c')], { encoding: 'utf8' });
  if (compiled.status !== 0) throw new Error(`line.c could not be compiled: ${compiled.stderr}`);
  return [program, String(roundTripMs / 2), String(megabits), String(queueKb)];
}

/** Of a device in the form of /proc/net/dev. What goes out over `lo` comes in again, and is counted once. */
export function countBytes(table: string, device: string): number {
  const fields = table
    .split('\n')
    .find((line) => line.trim().startsWith(`${device}:`))
    ?.split(':')[1]
    ?.trim()
    .split(/\s+/);
  if (fields === undefined) throw new Error(`there is no network device ${device}`);
  return Number(fields[0]) + (device === 'lo' ? 0 : Number(fields[8]));
}
