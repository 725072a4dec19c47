/** The emulator's instances: real machines that are reached by SSH, and nothing of them is left. */
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname } from 'node:path';
import ssh2 from 'ssh2';
import { expect, test, vi } from 'vitest';
import { findProcesses } from '../../../src/providers/local/process-tree.ts';
import { generateKeyPair } from '../../../src/transport/host-keys.ts';
import type { EmulatedInstance, GceEmulator } from '../../emulators/gce/gce-emulator.ts';
import { askGce, insertAndWait, openGceEmulator } from '../../support/gce-emulator.ts';

const zone = 'us-central1-a';

function keyEntry(publicKey: string, expireOn: string | null): string {
  return expireOn === null ? `ann:${publicKey} ann` : `ann:${publicKey} google-ssh ${JSON.stringify({ userName: 'ann', expireOn })}`;
}

const farAway = '2099-01-01T00:00:00+0000';

async function booted(emulator: GceEmulator, name = 'one'): Promise<EmulatedInstance & { readonly sshPort: number }> {
  const look = () => emulator.instances().find((instance) => instance.name === name);
  await vi.waitFor(() => expect(look()?.guestAttributes['gpu-run/ssh-port']).toBeDefined(), { timeout: 10_000, interval: 5 });
  return look() as EmulatedInstance & { readonly sshPort: number };
}

interface Login {
  readonly port: number;
  readonly privateKey: string;
  readonly user?: string;
}

/** Output of a command; the refusal's text when the login fails. `hostKey`: what the server showed. */
async function onMachine({ port, privateKey, user = 'ann' }: Login, command: string): Promise<{ readonly output: string; readonly hostKey: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ output: string; hostKey: string }>();
  const client = new ssh2.Client();
  let hostKey = '';
  client.on('error', reject);
  client.on('ready', () =>
    client.exec(command, (error, channel) => {
      if (error) return reject(error);
      let output = '';
      channel.on('data', (chunk: Buffer) => (output += chunk));
      channel.stderr.on('data', (chunk: Buffer) => (output += chunk));
      channel.on('close', () => resolve({ output, hostKey }));
    }),
  );
  client.connect({ host: '127.0.0.1', port, username: user, privateKey, hostVerifier: (key: Buffer) => (hostKey = key.toString('base64')) !== '' });
  try {
    return await promise;
  } finally {
    client.end();
  }
}

test('a machine is reached with the key of its metadata, shows the host key that it has published, and has the GPUs of its type', async () => {
  const emulator = await openGceEmulator();
  const ask = await askGce(emulator);
  const keys = generateKeyPair();
  await insertAndWait(ask, { name: 'one', zone, type: 'g2-standard-24', metadata: { 'ssh-keys': keyEntry(keys.publicKey, farAway) } });
  const { sshPort: port } = await booted(emulator);

  const { json: published } = await ask('GET', `/zones/${zone}/instances/one/getGuestAttributes?queryPath=hostkeys%2F`);
  const { json: itsPort } = await ask('GET', `/zones/${zone}/instances/one/getGuestAttributes?queryPath=gpu-run%2F`);
  expect(itsPort.queryValue.items).toEqual([{ namespace: 'gpu-run', key: 'ssh-port', value: String(port) }]);
  const { output, hostKey } = await onMachine(
    { port, privateKey: keys.privateKey },
    'nvidia-smi --query-gpu=index,name,memory.total --format=csv,noheader,nounits',
  );
  expect(published.queryValue.items).toEqual([{ namespace: 'hostkeys', key: 'ssh-ed25519', value: hostKey }]);
  expect(output).toBe('0, NVIDIA L4, 23034\n1, NVIDIA L4, 23034\n');
});

test('keys that have expired, of other users, or under OS Login are refused', async () => {
  const emulator = await openGceEmulator({ projectMetadata: [] });
  const ask = await askGce(emulator);
  const [good, old] = [generateKeyPair(), generateKeyPair()];
  const entries = [keyEntry(good.publicKey, farAway), keyEntry(old.publicKey, '2020-01-01T00:00:00+0000')].join('\n');
  await insertAndWait(ask, { name: 'one', zone, metadata: { 'ssh-keys': entries } });
  await insertAndWait(ask, { name: 'two', zone, metadata: { 'ssh-keys': entries, 'enable-oslogin': 'TRUE' } });
  const { sshPort: port } = await booted(emulator);
  const { sshPort: otherPort } = await booted(emulator, 'two');
  await expect(onMachine({ port, privateKey: good.privateKey }, 'echo in')).resolves.toMatchObject({ output: 'in\n' });
  await expect(onMachine({ port, privateKey: old.privateKey }, 'echo in')).rejects.toThrow(/authentication/i);
  await expect(onMachine({ port, privateKey: good.privateKey, user: 'bob' }, 'echo in')).rejects.toThrow(/authentication/i);
  await expect(onMachine({ port: otherPort, privateKey: good.privateKey }, 'echo in')).rejects.toThrow(/authentication/i);
});

test('where OS Login is forced the keys of the directory let in, and those of the metadata do not', async () => {
  const emulator = await openGceEmulator({ forceOsLogin: true });
  const ask = await askGce(emulator);
  const [inMetadata, inDirectory] = [generateKeyPair(), generateKeyPair()];
  await insertAndWait(ask, { name: 'one', zone, runSeconds: 36_000, metadata: { 'ssh-keys': keyEntry(inMetadata.publicKey, farAway) } });
  const body = { key: inDirectory.publicKey, expirationTimeUsec: String((Date.now() + 3_600_000) * 1000) };
  const { json } = await ask('POST', `/v1/users/${encodeURIComponent('ann@example.com')}:importSshPublicKey?projectId=emulated`, body);
  const user: string = json.loginProfile.posixAccounts[0].username;
  const { sshPort: port } = await booted(emulator);
  await expect(onMachine({ port, user, privateKey: inDirectory.privateKey }, 'echo in')).resolves.toMatchObject({ output: 'in\n' });
  await expect(onMachine({ port, privateKey: inMetadata.privateKey }, 'echo in')).rejects.toThrow(/authentication/i);
  emulator.passTime(3_700_000);
  await expect(onMachine({ port, user, privateKey: inDirectory.privateKey }, 'echo in')).rejects.toThrow(/authentication/i);
});

test('the startup script runs in the machine, reaches the metadata server, and its words are on the serial console', async () => {
  const emulator = await openGceEmulator();
  const ask = await askGce(emulator);
  const script = [
    '#!/bin/sh',
    'node -e "',
    "  const ask = (path, init = {}) => fetch('http://' + process.env.GCE_METADATA_HOST + '/computeMetadata/v1/' + path, { ...init, headers: { 'Metadata-Flavor': 'Google' } });",
    "  ask('instance/name').then((r) => r.text()).then((name) => ask('instance/guest-attributes/mine/name', { method: 'PUT', body: name })).then((r) => console.log('said', r.status));",
    '"',
  ].join('\n');
  await insertAndWait(ask, { name: 'one', zone, metadata: { 'startup-script': script } });
  await booted(emulator);
  await vi.waitFor(() => expect(emulator.instances()[0]?.console).toContain('startup-script exit status 0'), { timeout: 10_000 });
  expect(emulator.instances()[0]?.guestAttributes['mine/name']).toBe('one');
  const { json } = await ask('GET', `/zones/${zone}/instances/one/serialPort?port=1`);
  expect(json.contents).toContain('startup-script: said 200');
});

test('everything that runs on a machine ends with it', async () => {
  const emulator = await openGceEmulator();
  const ask = await askGce(emulator);
  const keys = generateKeyPair();
  await insertAndWait(ask, { name: 'one', zone, metadata: { 'ssh-keys': keyEntry(keys.publicKey, farAway) } });
  const { sshPort: port } = await booted(emulator);
  const { output } = await onMachine(
    { port, privateKey: keys.privateKey },
    '(trap "" TERM; setsid sleep 600 >/dev/null 2>&1 & echo $!); echo $GPU_RUN_MACHINE',
  );
  const mark = output.trim().split('\n').at(-1) ?? '';
  expect(findProcesses(mark)).not.toEqual([]);
  const { json: operation } = await ask('DELETE', `/zones/${zone}/instances/one`);
  await ask('POST', `/zones/${zone}/operations/${operation.name}/wait`);
  expect(findProcesses(mark)).toEqual([]);
  expect(emulator.instances()).toEqual([]);
  expect(emulator.disks()).toEqual([]);
  await expect(onMachine({ port, privateKey: keys.privateKey }, 'echo in')).rejects.toThrow(/ECONNREFUSED/);
});

test('closing waits for a machine that is being deleted while it boots', async () => {
  const temporary = () => readdirSync(tmpdir()).filter((name) => name.startsWith('gce-'));
  const emulator = await openGceEmulator();
  const folder = dirname(emulator.credentialsFile);
  const ask = await askGce(emulator);
  await insertAndWait(ask, { name: 'one', zone, metadata: { 'startup-script': 'sleep 600' } });
  const deleted = emulator.deleteByOther('one').catch(() => {});
  await emulator.close();
  await Promise.race([deleted, new Promise((resolve) => setTimeout(resolve, 100))]);
  expect(temporary()).not.toContain(basename(folder));
});

test('forty machines at once, each with its own SSH server', async () => {
  const emulator = await openGceEmulator();
  const ask = await askGce(emulator);
  const keys = generateKeyPair();
  const names = Array.from({ length: 40 }, (_, index) => `m${index}`);
  await Promise.all(names.map((name) => insertAndWait(ask, { name, zone, metadata: { 'ssh-keys': keyEntry(keys.publicKey, farAway) } })));
  const machines = await Promise.all(names.map((name) => booted(emulator, name)));
  expect(new Set(machines.map(({ sshPort }) => sshPort)).size).toBe(40);
  const answers = await Promise.all(machines.slice(0, 5).map(({ sshPort: port }) => onMachine({ port, privateKey: keys.privateKey }, 'pwd')));
  expect(new Set(answers.map(({ output }) => output)).size).toBe(5);
});
