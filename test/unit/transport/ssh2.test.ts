import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { HostKey } from '../../../src/core/machine.ts';
import { fingerprint, generateKeyPair } from '../../../src/transport/host-keys.ts';
import { connectSsh2 } from '../../../src/transport/ssh2.ts';
import type { ConnectOptions, Transport } from '../../../src/transport/transport.ts';
import { type LocalServer, startLocalServer } from '../../contract/transport-local-server.ts';
import { run } from '../../contract/transport-observe.ts';

let server: LocalServer;
const open: Transport[] = [];
const listeners: Server[] = [];

beforeEach(async () => {
  server = await startLocalServer();
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
  for (const listener of listeners.splice(0)) listener.close();
  await server.close();
});

function options(over: { port?: number; hostKeys?: readonly HostKey[]; user?: string } = {}, rest: Partial<ConnectOptions> = {}): ConnectOptions {
  const access = { kind: 'own', host: '127.0.0.1', port: server.port, user: server.user, hostKeys: [server.hostKeys.publicKey], ...over } as const;
  return { access, identityFile: server.identityFile, scratch: server.folder, ...rest };
}

function transport(given: ConnectOptions): Transport {
  const made = connectSsh2(given);
  open.push(made);
  return made;
}

async function listen(onClient: (socket: Socket) => void): Promise<number> {
  const listener = createServer(onClient).listen(0, '127.0.0.1');
  listeners.push(listener);
  await once(listener, 'listening');
  return (listener.address() as { port: number }).port;
}

describe('connecting', () => {
  test('all commands share one connection, made at the first use', async () => {
    const machine = transport(options());
    expect(server.connections()).toBe(0);
    await Promise.all(Array.from({ length: 30 }, async () => expect((await run(machine.exec(['echo', 'x']))).stdout.toString()).toBe('x\n')));
    expect(server.connections()).toBe(1);
  });

  test('one of several known host keys is enough; another is named with both fingerprints', async () => {
    const [first, second] = [generateKeyPair().publicKey, generateKeyPair().publicKey];
    await transport(options({ hostKeys: [first, server.hostKeys.publicKey] })).connect();
    const message = `expected ${fingerprint(first)} or ${fingerprint(second)}, got ${fingerprint(server.hostKeys.publicKey)}`;
    await expect(transport(options({ hostKeys: [first, second] })).connect()).rejects.toMatchObject({
      code: 'host-key',
      message: expect.stringContaining(message),
    });
  });

  test('a server without a key of the known kind, or no known key at all', async () => {
    const ecdsa =
      'ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBGjBSVDT7Lh4QPdIHWAcrzOBjLLhAjIHM7cDhlMkV7lPGqVe0MZlYRYR5uYAODNNZzC5nsvq7NTLZVGy7Fzz+cQ=';
    await expect(transport(options({ hostKeys: [ecdsa] })).connect()).rejects.toMatchObject({ code: 'host-key' });
    await expect(transport(options({ hostKeys: [] })).connect()).rejects.toMatchObject({ code: 'host-key' });
  });

  test('another user, a missing key file, a key file that holds none', async () => {
    const nonsense = join(server.folder, 'nonsense');
    writeFileSync(nonsense, 'nonsense');
    await expect(transport(options({ user: 'root' })).connect()).rejects.toMatchObject({ code: 'not-allowed', message: expect.stringContaining("'root'") });
    for (const identityFile of [nonsense, join(server.folder, 'missing'), null]) {
      await expect(transport(options({}, { identityFile })).connect()).rejects.toMatchObject({ code: 'not-allowed' });
    }
  });

  test('nothing listens; something else listens; nobody answers', async () => {
    const refused = transport(options({ port: 1 })).connect();
    await expect(refused).rejects.toMatchObject({ code: 'connection', retry: 'same', message: expect.stringContaining('refused') });
    const web = await listen((socket) => socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await expect(transport(options({ port: web })).connect()).rejects.toMatchObject({ code: 'connection' });
    const silent = await listen((socket) => socket.on('error', () => {}));
    await expect(transport(options({ port: silent }, { timeoutMs: 50 })).connect()).rejects.toMatchObject({
      code: 'connection',
      message: expect.stringContaining('no answer'),
    });
  });

  test('an abort while connecting', async () => {
    const silent = await listen((socket) => socket.on('error', () => {}));
    const abort = new AbortController();
    const connecting = transport(options({ port: silent })).connect(abort.signal);
    abort.abort();
    await expect(connecting).rejects.toMatchObject({ code: 'interrupted' });
  });

  test('after a failure the next try connects anew', async () => {
    await server.stop();
    const machine = transport(options());
    await expect(machine.connect()).rejects.toMatchObject({ code: 'connection' });
    await server.restart();
    await machine.connect();
    expect(server.connections()).toBe(1);
  });
});

test('a connection on which nothing comes back any more counts as dead after three keepalives', async () => {
  let frozen = false;
  const sockets: Socket[] = [];
  const port = await listen((client) => {
    const upstream = connect({ host: '127.0.0.1', port: server.port });
    sockets.push(client, upstream);
    for (const socket of [client, upstream]) socket.on('error', () => {});
    client.on('data', (data) => upstream.write(data));
    upstream.on('data', (data) => frozen || client.write(data));
  });
  const machine = transport(options({ port }, { keepaliveMs: 20 }));
  const command = machine.exec(['sh', '-c', 'echo up; exec cat']);
  command.stderr.resume();
  await once(command.stdout, 'data');
  frozen = true;
  await expect(command.exit).rejects.toMatchObject({ code: 'connection', message: expect.stringContaining('Keepalive') });
  frozen = false;
  expect((await run(machine.exec(['echo', 'again']))).stdout.toString()).toBe('again\n');
  for (const socket of sockets) socket.destroy();
});

test('a command up to 32 KiB runs; a longer one is refused, and the connection stays', async () => {
  const machine = transport(options());
  const fits = 'x'.repeat(32 * 1024 - "'echo' ''".length);
  expect((await run(machine.exec(['echo', fits]))).stdout.toString()).toBe(`${fits}\n`);
  await expect(run(machine.exec(['echo', `${fits}x`]))).rejects.toMatchObject({ code: 'bad-input', message: expect.stringContaining('at most 32768') });
  await expect(run(machine.exec(['echo', ...Array.from({ length: 20_000 }, () => 'word')]))).rejects.toMatchObject({ code: 'bad-input' });
  expect((await run(machine.exec(['echo', 'on']))).stdout.toString()).toBe('on\n');
  expect(server.connections()).toBe(1);
});

test('a signal reaches a command whose input has ended', async () => {
  const machine = transport(options());
  const command = machine.exec([
    'sh',
    '-c',
    `exec 2>&-; trap 'echo terminated > "$1"; exit' TERM; echo up; while :; do sleep 0.01; done`,
    'sh',
    join(server.folder, 'trapped'),
  ]);
  command.stdin.end();
  command.stderr.resume();
  await once(command.stdout, 'data');
  command.kill('SIGTERM');
  await command.exit.catch(() => {});
  const look = async () => (await run(machine.exec(['cat', join(server.folder, 'trapped')]))).stdout.toString();
  while ((await look()) !== 'terminated\n');
});
