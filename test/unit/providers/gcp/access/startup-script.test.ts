import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startupScript } from '../../../../../src/providers/gcp/access/startup-script.ts';
import { generateKeyPair } from '../../../../../src/transport/host-keys.ts';

const run = promisify(execFile);
const hostKey = generateKeyPair().publicKey;
const loginKey = generateKeyPair().publicKey;

/** Where a program is; null: nowhere. */
function find(program: string): string | null {
  const folders = (process.env['PATH'] ?? '').split(':');
  return folders.map((place) => join(place, program)).find((file) => existsSync(file)) ?? null;
}

const wget = find('wget');
let folder: string;
let server: Server;
let put: Map<string, string>;
let refuse: number;
let env: Record<string, string>;

/** A metadata server: what is put, and `ssh-keys` to get. */
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-startup-'));
  put = new Map();
  refuse = 0;
  server = createServer(async (request, response) => {
    const chunks = await request.toArray();
    const path = request.url?.replace('/computeMetadata/v1/instance/', '') ?? '';
    if (request.headers['metadata-flavor'] !== 'Google') response.writeHead(403).end();
    else if (request.method === 'PUT' && refuse-- > 0) response.writeHead(503).end();
    else if (request.method === 'PUT') response.writeHead(200).end(() => put.set(path, Buffer.concat(chunks).toString()));
    else if (path === 'attributes/ssh-keys')
      response.writeHead(200).end(`gpurun:${loginKey} google-ssh {"userName":"gpurun"}\nroot:${loginKey}\n-x:${loginKey}\nann:none $(touch ${folder}/pwned)`);
    else response.writeHead(404).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  mkdirSync(join(folder, 'ssh'));
  mkdirSync(join(folder, 'bin'));
  env = { PATH: `${join(folder, 'bin')}:${process.env['PATH']}`, GCE_METADATA_HOST: `127.0.0.1:${port}`, GPU_RUN_SSH_DIR: join(folder, 'ssh') };
});
afterEach(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

function boot() {
  return run('sh', ['-c', startupScript()], { env });
}

function program(name: string, text: string): void {
  const file = join(folder, 'bin', name);
  writeFileSync(file, `#!/bin/sh\n${text}\n`);
  chmodSync(file, 0o755);
}

test('the golden text', async () => {
  await expect(startupScript()).toMatchFileSnapshot('startup-script.golden.sh');
});

test('publishes the public keys and the port, and holds no secret', async () => {
  writeFileSync(join(folder, 'ssh', 'ssh_host_ed25519_key.pub'), `${hostKey} root@cats\n`);
  writeFileSync(join(folder, 'ssh', 'ssh_host_dsa_key.pub'), 'ssh-dss AAAA root@cats\n');
  writeFileSync(join(folder, 'ssh', 'ssh_host_ed25519_key'), 'PRIVATE');
  writeFileSync(join(folder, 'ssh', 'sshd_config'), '# Port 1\nPort 2222\n');
  for (const _ of ['first boot', 'second boot']) {
    await boot();
    expect(Object.fromEntries(put)).toEqual({
      'guest-attributes/gpu-run/ssh-port': '2222',
      'guest-attributes/hostkeys/ssh-ed25519': hostKey.split(' ')[1],
    });
  }
});

test('without a port of its own it says none; a metadata server that is not there yet is asked again', async () => {
  writeFileSync(join(folder, 'ssh', 'ssh_host_ed25519_key.pub'), `${hostKey}\n`);
  program('sleep', 'exit 0');
  refuse = 2;
  await boot();
  expect([...put.keys()]).toEqual(['guest-attributes/hostkeys/ssh-ed25519']);
});

test.skipIf(wget === null)('works with wget where there is no curl', async () => {
  writeFileSync(join(folder, 'ssh', 'ssh_host_ed25519_key.pub'), `${hostKey}\n`);
  writeFileSync(join(folder, 'ssh', 'sshd_config'), 'Port 2222\n');
  const only = join(folder, 'only');
  mkdirSync(only);
  for (const name of ['wget', 'awk', 'sleep', 'id', 'sh']) symlinkSync(find(name) ?? name, join(only, name));
  await run(join(only, 'sh'), ['-c', startupScript()], { env: { ...env, PATH: only } });
  expect([...put.values()]).toEqual(['2222', hostKey.split(' ')[1]]);
});

test('waits for the keys of an image that makes them at its first boot', async () => {
  program('sleep', `echo '${hostKey}' > '${folder}/ssh/ssh_host_ed25519_key.pub'`);
  await boot();
  expect([...put.keys()]).toEqual(['guest-attributes/hostkeys/ssh-ed25519']);
});

test('as root on an image without a guest agent it makes the account that the metadata names, once, and no other', async () => {
  const { GPU_RUN_SSH_DIR: _, ...root } = env;
  env = root;
  const home = join(folder, 'home');
  mkdirSync(home);
  program('id', 'echo 0');
  program('useradd', `echo "$@" >> '${folder}/useradd'; touch '${folder}/made'`);
  program('getent', `[ "$2" = gpurun ] && [ -e '${folder}/made' ] && echo 'gpurun:x:1:1::${home}:/bin/sh'`);
  program('chown', `echo "$@" >> '${folder}/chown'`);
  // What would look into the real /etc/ssh.
  program('sshd', 'echo port 22');
  program('ssh-keygen', 'exit 0');
  program('sleep', 'exit 0');
  for (const _ of ['first boot', 'second boot']) await boot();
  expect(readFileSync(join(folder, 'useradd'), 'utf8')).toBe('--create-home --shell /bin/sh gpurun\n');
  expect(readFileSync(join(home, '.ssh', 'authorized_keys'), 'utf8')).toBe(`${loginKey}\n`);
  expect(statSync(join(home, '.ssh', 'authorized_keys')).mode & 0o777).toBe(0o600);
  expect(readFileSync(join(folder, 'chown'), 'utf8')).toContain(`-R gpurun:0 ${home}/.ssh`);
  expect(() => statSync(join(folder, 'pwned'))).toThrow();
});
