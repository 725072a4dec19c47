/** The generated SSH config: with one `Include` line in `~/.ssh/config`, `ssh NAME` reaches every machine that is up. */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { GpuRunError } from '../core/errors.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import { quoteArgv } from '../transport/quote.ts';
import type { RunContext } from './context.ts';

/** Written anew after each change; OpenSSH reads either the old file or the new one, never half of it. */
export function writeSshConfig(context: Pick<RunContext, 'ledger' | 'home' | 'program'>): void {
  const { ledger, home } = context;
  const blocks = ledger.list({ live: true }).flatMap((machine) => hostBlock(machine, context));
  writeAtomic(home.sshConfig, ['# Written by gpu-run: one block per machine that is up. Changes are lost.', ...blocks, ''].join('\n'));
}

function hostBlock(machine: MachineEntry, { home, program }: Pick<RunContext, 'home' | 'program'>): string[] {
  if (machine.adopted !== undefined && !existsSync(join(home.keys, machine.id))) return []; // nobody could log in
  if (machine.access?.kind !== 'own') return []; // the user's own hosts stand in the user's own config
  const { host, port, user, hostKeys, tunnel } = machine.access;
  const { keys } = home;
  const knownHosts = join(keys, `${machine.id}.known_hosts`);
  writeAtomic(knownHosts, hostKeys.map((key) => `${machine.id} ${key}\n`).join(''));
  return [
    `Host ${machine.name}`,
    `  HostName ${host}`,
    `  Port ${port}`,
    `  User ${user}`,
    `  HostKeyAlias ${machine.id}`,
    `  UserKnownHostsFile "${knownHosts}"`,
    '  GlobalKnownHostsFile /dev/null',
    '  StrictHostKeyChecking yes',
    `  IdentityFile "${join(keys, machine.id)}"`,
    '  IdentitiesOnly yes',
    ...(tunnel === undefined ? [] : [`  ProxyCommand ${proxyCommand(machine.name, home.root, program)}`]),
  ];
}

/** Run by the user's shell, with `exec` before it, or on Windows as it stands. `%` is OpenSSH's own. @throws GpuRunError `bad-input` where a path can't stand on one line */
function proxyCommand(name: string, root: string, program: readonly string[]): string {
  const words = [...program, 'tunnel', name];
  const line = process.platform === 'win32' ? words.map((word) => `"${word}"`).join(' ') : `env ${quoteArgv([`GPU_RUN_HOME=${root}`, ...words])}`;
  if (/[\r\n]/.test(line)) throw new GpuRunError('bad-input', "A path with a line break in it can't stand in an SSH config.");
  return line.replaceAll('%', '%%');
}

/** What stands there already is not written again: forty machines that come up together would each write the files of all. */
function writeAtomic(file: string, text: string): void {
  if (textOf(file) === text) return;
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const hidden = `${file}.${process.pid}.tmp`;
  writeFileSync(hidden, text, { mode: 0o600 });
  renameSync(hidden, file);
}

/** null: there is none, or it can't be read. */
function textOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
