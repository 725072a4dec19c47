/** The `ssh:` block of the config: which host, and how it is reached. Checked here, by hand, with errors that name the key. */
import { statSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { GpuRunError } from '../../core/errors.ts';
import type { HostKey } from '../../core/machine.ts';

export interface SshOptions {
  /** A host name, an address, or an alias of `~/.ssh/config`. */
  readonly host: string;
  readonly user: string | null;
  readonly port: number | null;
  readonly hostKey: HostKey | null;
  readonly configFile: string | null;
  readonly identityFile: string | null;
  /** USD. */
  readonly pricePerHour: number;
}

const keys = ['host', 'user', 'port', 'host-key', 'price-per-hour', 'config-file', 'identity-file'] as const;
type Key = (typeof keys)[number];

/** null: there is no `ssh` block, so there is no host. @throws GpuRunError `bad-input` that names the key */
export function readSshOptions(providerOptions: Readonly<Record<string, unknown>>): SshOptions | null {
  const block = providerOptions['ssh'];
  if (block === undefined || block === null) return null;
  if (typeof block !== 'object' || Array.isArray(block)) throw bad('ssh', 'takes a block of keys', ['ssh: { host: gpu-box }']);
  const given = block as Readonly<Record<string, unknown>>;
  for (const key of Object.keys(given)) {
    if (!(keys as readonly string[]).includes(key)) throw bad(`ssh.${key}`, 'is not known', [`The keys of ssh: are ${keys.join(', ')}.`]);
  }
  const value = (key: Key): unknown => given[key] ?? null;
  return {
    host: hostOf(value('host')),
    user: userOf(value('user')),
    port: portOf(value('port')),
    hostKey: hostKeyOf(value('host-key')),
    configFile: fileOf('config-file', value('config-file')),
    identityFile: fileOf('identity-file', value('identity-file')),
    pricePerHour: priceOf(value('price-per-hour')),
  };
}

function hostOf(value: unknown): string {
  if (value === null) throw bad('ssh.host', 'is missing', ["Give a host name, an address, or a name from ~/.ssh/config: 'ssh: { host: gpu-box }'."]);
  if (typeof value !== 'string' || !isWord(value) || value.includes('/'))
    throw bad('ssh.host', `takes a host name, an address, or a name from ~/.ssh/config, not ${show(value)}`);
  if (value.includes('@'))
    throw bad('ssh.host', `takes the host alone, not ${show(value)}`, [
      `ssh: { host: ${value.slice(value.lastIndexOf('@') + 1)}, user: ${value.slice(0, value.lastIndexOf('@'))} }`,
    ]);
  return value;
}

function userOf(value: unknown): string | null {
  if (value === null || (typeof value === 'string' && isWord(value) && !/[@:]/.test(value))) return value;
  throw bad('ssh.user', `takes the name of an account on the host, not ${show(value)}`);
}

function portOf(value: unknown): number | null {
  if (value === null || (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535)) return value;
  throw bad('ssh.port', `takes a whole number from 1 to 65535, not ${show(value)}`);
}

/** `TYPE BASE64`, where the bytes name the same type; a comment behind it is dropped. */
function hostKeyOf(value: unknown): HostKey | null {
  if (value === null) return null;
  const [, type = '', base64 = ''] = typeof value === 'string' ? (/^([a-z0-9@.-]+) ([A-Za-z0-9+/]+={0,2})(?:\s.*)?$/.exec(value.trim()) ?? []) : [];
  const bytes = Buffer.from(base64, 'base64');
  const length = bytes.length < 4 ? 0 : bytes.readUInt32BE(0);
  if (type !== '' && bytes.toString('latin1', 4, 4 + length) === type) return `${type} ${base64}`;
  throw bad('ssh.host-key', `takes a public host key like 'ssh-ed25519 AAAA...', not ${show(value)}`, ['On the host: cat /etc/ssh/ssh_host_ed25519_key.pub']);
}

function fileOf(key: 'config-file' | 'identity-file', value: unknown): string | null {
  if (value === null) return null;
  const path = typeof value === 'string' && value.startsWith('~/') ? join(homedir(), value.slice(2)) : value;
  if (typeof path !== 'string' || !isAbsolute(path) || path.includes('\0'))
    throw bad(`ssh.${key}`, `takes an absolute path or one that starts with ~/, not ${show(value)}`);
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) throw bad(`ssh.${key}`, `names no file that is there: ${path}`);
  return path;
}

function priceOf(value: unknown): number {
  if (value === null) return 0;
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value;
  throw bad('ssh.price-per-hour', `takes US dollars an hour, 0 or more, not ${show(value)}`);
}

/** Something that stays one word of a command line and is no option: OpenSSH would take `-oProxyCommand=...` for one. */
function isWord(text: string): boolean {
  return /^[^\s\p{Cc}'"`$;|&<>()\\-][^\s\p{Cc}'"`$;|&<>()\\]*$/u.test(text);
}

function bad(key: string, problem: string, hints: readonly string[] = []): GpuRunError {
  return new GpuRunError('bad-input', `'${key}' ${problem}.`, { hints });
}

function show(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : JSON.stringify(value);
}
