/** SSH over a stream that somebody else opens: Google's relay in front of the SSH server. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { type Duplex, PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import { GpuRunError } from '../../../src/core/errors.ts';
import type { HostKey } from '../../../src/core/machine.ts';
import { openIapTunnel } from '../../../src/providers/gcp/access/iap/open-tunnel.ts';
import { generateKeyPair } from '../../../src/transport/host-keys.ts';
import { connectSsh2 } from '../../../src/transport/ssh2.ts';
import type { ConnectOptions, Transport } from '../../../src/transport/transport.ts';
import { type LocalServer, startLocalServer } from '../../contract/transport-local-server.ts';
import { run } from '../../contract/transport-observe.ts';
import { type FakeRelay, startFakeRelay } from '../../emulators/iap/relay.ts';

let server: LocalServer;
let relay: FakeRelay;
let machine: Transport | null = null;

beforeEach(async () => {
  server = await startLocalServer();
  relay = await startFakeRelay({ target: () => server.port });
});
afterEach(async () => {
  await machine?.close();
  await relay.close();
  await server.close();
});

function throughRelay(signal: AbortSignal): Promise<Duplex> {
  const place = { project: 'p1', zone: 'us-central1-a', instance: 'cats', port: 22, interface: 'nic0' };
  return openIapTunnel({ ...place, relayUrl: relay.url, token: async () => 'tok', clock: systemClock }, signal);
}

function transport(dial: ConnectOptions['dial'], hostKeys: readonly HostKey[] = [server.hostKeys.publicKey], timeoutMs = 15_000): Transport {
  const access = { kind: 'own', host: 'cats', port: 22, user: server.user, hostKeys, tunnel: {} } as const;
  machine = connectSsh2({ access, identityFile: server.identityFile, scratch: server.folder, timeoutMs, ...(dial === undefined ? {} : { dial }) });
  return machine;
}

describe('through the relay', () => {
  test('commands run, their bytes are equal, and a cut between them is not noticed', async () => {
    const cats = transport(throughRelay);
    const bytes = Buffer.alloc(400_000, 'gpu-run');
    const copying = run(cats.exec(['cat']), bytes);
    expect((await copying).stdout.equals(bytes)).toBe(true);
    relay.cutAll();
    expect((await run(cats.exec(['echo', 'still there']))).stdout.toString()).toBe('still there\n');
    expect(relay.requests.map(({ pathname }) => pathname)).toEqual(['/v4/connect', '/v4/reconnect']);
    expect(server.connections()).toBe(1);
    expect(relay.complaints).toEqual([]);
  });

  test('closing leaves no tunnel behind', async () => {
    const cats = transport(throughRelay);
    await cats.connect();
    expect(relay.tunnels).toBe(1);
    await cats.close();
    while (relay.tunnels > 0) await new Promise(setImmediate);
  });

  test.each([
    ['wrong', () => [generateKeyPair().publicKey]],
    ['missing', () => []],
  ])('a %s host key stops the connection before anything is sent', async (_, hostKeys) => {
    await expect(transport(throughRelay, hostKeys()).connect()).rejects.toMatchObject({ code: 'host-key' });
    expect(server.connections()).toBe(0);
  });
});

test('a host key that has changed since stops the next connection', async () => {
  const cats = transport(throughRelay);
  await cats.connect();
  const other = await startLocalServer();
  const changed = await startFakeRelay({ target: () => other.port });
  relay.forget();
  const before = relay;
  relay = changed;
  await expect
    .poll(() =>
      run(cats.exec(['true'])).then(
        () => null,
        (error: GpuRunError) => error.code,
      ),
    )
    .toBe('host-key');
  expect(other.connections()).toBe(0);
  await before.close();
  await other.close();
});

describe('a stream that does not come', () => {
  test('for a reason: that is told', async () => {
    const why = new GpuRunError('not-allowed', 'No tunnel for you.', { hints: ['gcloud ...'] });
    await expect(transport(() => Promise.reject(why)).connect()).rejects.toBe(why);
  });

  test('in time: the connection has one limit for all, and a late stream is thrown away', async () => {
    const late = new PassThrough();
    const coming = Promise.withResolvers<Duplex>();
    await expect(transport(() => coming.promise, undefined, 20).connect()).rejects.toMatchObject({
      code: 'connection',
      message: expect.stringContaining('no answer'),
    });
    coming.resolve(late);
    await once(late, 'close');
  });

  test('because the caller gave up', async () => {
    const abort = new AbortController();
    const connecting = transport(() => new Promise(() => {})).connect(abort.signal);
    abort.abort();
    await expect(connecting).rejects.toMatchObject({ code: 'interrupted' });
  });

  test('or comes already closed', async () => {
    const dial = async () => {
      const socket = connect(server.port, '127.0.0.1');
      socket.destroy();
      await once(socket, 'close');
      return socket;
    };
    await expect(transport(dial).connect()).rejects.toMatchObject({ code: 'connection' });
  });
});
