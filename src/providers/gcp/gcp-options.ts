/** The `gcp:` block of the config: whose project, which network, what the machine boots from. Checked here, by hand, with errors that name the key. */
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { GpuRunError } from '../../core/errors.ts';

/** How the machine is bought. `flex-start` waits in Google's queue; `reservation` uses what the project has reserved. */
export type Provisioning = 'standard' | 'spot' | 'flex-start' | 'reservation';

export interface GcpOptions {
  /** null: GOOGLE_CLOUD_PROJECT, else the one that the credentials name. */
  readonly project: string | null;
  /** Absolute path: service account, external account or authorized user. null: Application Default Credentials. */
  readonly credentialsFile: string | null;
  /** `default`, or `projects/HOST/global/networks/NAME` for a shared VPC. */
  readonly network: string | null;
  /** `NAME` in the machine's region, or `projects/HOST/regions/REGION/subnetworks/NAME`. */
  readonly subnetwork: string | null;
  /** `FAMILY-PROJECT/FAMILY`, or `projects/P/global/images/...`; tried in order. Empty: our own list. */
  readonly images: readonly string[];
  /** `pd-balanced`, ...; null: what the machine type takes. */
  readonly diskType: string | null;
  readonly provisioning: Provisioning | null;
  readonly reservation: string | null;
  /** E-mail; null: the machine has none, and no token. */
  readonly serviceAccount: string | null;
  readonly publicIp: boolean;
  readonly user: string;
  /** CIDR ranges from which SSH may come in, when a firewall rule must be made; empty: the caller's own address. */
  readonly allowFrom: readonly string[];
}

const keys = [
  'project',
  'credentials-file',
  'network',
  'subnetwork',
  'image',
  'disk-type',
  'provisioning',
  'reservation',
  'service-account',
  'public-ip',
  'user',
  'allow-from',
] as const;
type Key = (typeof keys)[number];

const provisionings: readonly Provisioning[] = ['standard', 'spot', 'flex-start', 'reservation'];

/** Without a `gcp` block: all defaults. @throws GpuRunError `bad-input` that names the key */
export function readGcpOptions(providerOptions: Readonly<Record<string, unknown>>): GcpOptions {
  const block = providerOptions['gcp'] ?? {};
  if (typeof block !== 'object' || Array.isArray(block)) throw bad('gcp', 'takes a block of keys', ['gcp: { project: my-project }']);
  const given = block as Readonly<Record<string, unknown>>;
  for (const key of Object.keys(given)) {
    if (!(keys as readonly string[]).includes(key)) throw bad(`gcp.${key}`, 'is not known', [`The keys of gcp: are ${keys.join(', ')}.`]);
  }
  const value = (key: Key): unknown => given[key] ?? null;
  const provisioning = value('provisioning');
  if (provisioning !== null && !provisionings.includes(provisioning as Provisioning))
    throw bad('gcp.provisioning', `takes one of ${provisionings.join(', ')}, not ${show(provisioning)}`);
  const reservation = wordOf('reservation', value('reservation'), /^[a-z0-9][-a-z0-9/]*$/, "a reservation's name");
  if (provisioning === 'reservation' && reservation === null) throw bad('gcp.reservation', 'is missing: name the reservation to use');
  return {
    project: wordOf('project', value('project'), /^([a-z0-9.-]+:)?[a-z][-a-z0-9]{4,28}[a-z0-9]$/, "a project's id (not its name or number)"),
    credentialsFile: fileOf('credentials-file', value('credentials-file')),
    network: wordOf('network', value('network'), path, "a network's name"),
    subnetwork: wordOf('subnetwork', value('subnetwork'), path, "a subnetwork's name"),
    images: listOf('image', value('image'), /^[a-z0-9][-a-z0-9.:_/]*\/[-a-z0-9._/]+$/, 'PROJECT/FAMILY, or projects/PROJECT/global/images/NAME'),
    diskType: wordOf('disk-type', value('disk-type'), /^[a-z][-a-z0-9]*$/, 'a disk type, as in pd-balanced'),
    provisioning: provisioning as Provisioning | null,
    reservation,
    serviceAccount: wordOf('service-account', value('service-account'), /^[^\s@]+@[a-z0-9.-]+$/i, "a service account's e-mail address"),
    publicIp: booleanOf('public-ip', value('public-ip'), true),
    user: wordOf('user', value('user'), /^[a-z_][a-z0-9_-]{0,31}$/, 'a name for the account on the machine') ?? 'gpurun',
    allowFrom: listOf('allow-from', value('allow-from'), /^[0-9a-f.:]+\/0*[1-9]\d{0,2}$/i, 'address ranges, as in 203.0.113.7/32, never the whole Internet'),
  };
}

const path = /^[a-z0-9][-a-z0-9.:_/]*$/;

function wordOf(key: Key, value: unknown, pattern: RegExp, what: string): string | null {
  if (value === null || (typeof value === 'string' && pattern.test(value))) return value;
  throw bad(`gcp.${key}`, `takes ${what}, not ${show(value)}`);
}

function listOf(key: Key, value: unknown, pattern: RegExp, what: string): readonly string[] {
  if (value === null) return [];
  return (Array.isArray(value) ? value : [value]).map((item: unknown) => {
    const word = item === null ? null : wordOf(key, item, pattern, what);
    if (word === null) throw bad(`gcp.${key}`, `takes ${what}, not ${show(value)}`);
    return word;
  });
}

function booleanOf(key: Key, value: unknown, otherwise: boolean): boolean {
  if (value === null) return otherwise;
  if (typeof value === 'boolean') return value;
  throw bad(`gcp.${key}`, `takes true or false, not ${show(value)}`);
}

function fileOf(key: Key, value: unknown): string | null {
  if (value === null) return null;
  const file = typeof value === 'string' && value.startsWith('~/') ? join(homedir(), value.slice(2)) : value;
  if (typeof file === 'string' && isAbsolute(file) && !file.includes('\0')) return file;
  throw bad(`gcp.${key}`, `takes an absolute path or one that starts with ~/, not ${show(value)}`);
}

function bad(key: string, problem: string, hints: readonly string[] = []): GpuRunError {
  return new GpuRunError('bad-input', `'${key}' ${problem}.`, { hints });
}

function show(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : JSON.stringify(value);
}
