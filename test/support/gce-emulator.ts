/** The Compute Engine emulator in vitest files: closed after each test, with a bare HTTP client and a body that is accepted. */

import { createSign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterEach } from 'vitest';
import { type GceEmulator, type GceEmulatorOptions, startGceEmulator } from '../emulators/gce/gce-emulator.ts';

const open = new Set<GceEmulator>();

/** Closed after the test, with all its machines. */
export async function openGceEmulator(options: GceEmulatorOptions = {}): Promise<GceEmulator> {
  const emulator = await startGceEmulator({ operationMs: 0, ...options });
  open.add(emulator);
  return emulator;
}

afterEach(async () => {
  const all = [...open];
  open.clear();
  await Promise.all(all.map((emulator) => emulator.close()));
});

export interface GceAnswer {
  readonly status: number;
  readonly json: any;
}

/** `path` below `/compute/v1/projects/PROJECT`, or a whole one from the root. */
export type GceAsk = (method: string, path: string, body?: unknown) => Promise<GceAnswer>;

/** Plain fetch with a token that the emulator has issued. */
export async function askGce(emulator: GceEmulator): Promise<GceAsk> {
  const token = await fetchToken(emulator);
  return async (method, path, body) => {
    const url = path.startsWith('/compute/') || path.startsWith('/v1/') ? path : `/compute/v1/projects/${emulator.project}${path}`;
    const response = await fetch(`${emulator.endpoint}${url}`, {
      method,
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, json: await response.json() };
  };
}

/** As a service account does it: a JWT that its key has signed, for an access token. */
export async function fetchToken({ credentialsFile }: GceEmulator): Promise<string> {
  const { client_email: email, private_key: key, token_uri: uri } = JSON.parse(readFileSync(credentialsFile, 'utf8'));
  const now = Math.floor(Date.now() / 1000);
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const head = `${part({ alg: 'RS256', typ: 'JWT' })}.${part({ iss: email, aud: uri, iat: now, exp: now + 3600, scope: 'https://www.googleapis.com/auth/cloud-platform' })}`;
  const assertion = `${head}.${createSign('RSA-SHA256').update(head).sign(key, 'base64url')}`;
  const body = new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion });
  const response = await fetch(uri, { method: 'POST', body });
  return ((await response.json()) as { access_token: string }).access_token;
}

export interface BodyChoices {
  readonly name: string;
  readonly zone: string;
  /** Default `g2-standard-4`. */
  readonly type?: string;
  readonly spot?: boolean;
  /** Seconds; default 3600. */
  readonly runSeconds?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A body of `instances.insert` as this project sends it. */
export function instanceBody({
  name,
  zone,
  type = 'g2-standard-4',
  spot = true,
  runSeconds = 3600,
  labels = {},
  metadata = {},
}: BodyChoices): Record<string, any> {
  const diskType = /^(a3-ultra|a4|g4)/.test(type) ? 'hyperdisk-balanced' : 'pd-balanced';
  const sourceImage = 'projects/deeplearning-platform-release/global/images/family/common-cu129-ubuntu-2204-nvidia-580';
  const items = { 'enable-guest-attributes': 'TRUE', 'block-project-ssh-keys': 'TRUE', 'enable-oslogin': 'FALSE', ...metadata };
  return {
    name,
    machineType: `zones/${zone}/machineTypes/${type}`,
    labels: { 'gpu-run': '1', ...labels },
    disks: [{ boot: true, autoDelete: true, initializeParams: { sourceImage, diskSizeGb: '100', diskType: `zones/${zone}/diskTypes/${diskType}` } }],
    networkInterfaces: [{ network: 'global/networks/default', nicType: 'GVNIC', accessConfigs: [{ type: 'ONE_TO_ONE_NAT', name: 'External NAT' }] }],
    scheduling: {
      provisioningModel: spot ? 'SPOT' : 'STANDARD',
      instanceTerminationAction: 'DELETE',
      maxRunDuration: { seconds: String(runSeconds) },
      onHostMaintenance: 'TERMINATE',
      automaticRestart: false,
    },
    tags: { items: ['gpu-run'] },
    metadata: { items: Object.entries(items).map(([key, value]) => ({ key, value })) },
  };
}

/** Inserts and waits for the operation; returns it. */
export async function insertAndWait(ask: GceAsk, choices: BodyChoices): Promise<any> {
  const { json } = await ask('POST', `/zones/${choices.zone}/instances`, instanceBody(choices));
  if (json.error !== undefined && json.kind === undefined) throw new Error(JSON.stringify(json));
  return (await ask('POST', `/zones/${choices.zone}/operations/${json.name}/wait`)).json;
}
