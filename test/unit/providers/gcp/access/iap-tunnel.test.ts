import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { type Duplex, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import type { Clock } from '../../../../../src/core/clock.ts';
import { type IapTunnelOptions, openIapTunnel as openUntracked } from '../../../../../src/providers/gcp/access/iap/open-tunnel.ts';
import { type FakeRelay, type FakeRelayOptions, startFakeRelay } from '../../../../emulators/iap/relay.ts';

const listeners: Server[] = [];
const relays: FakeRelay[] = [];
const streams: Duplex[] = [];
const never = new AbortController().signal;
let slept: number[] = [];

afterEach(async () => {
  for (const stream of streams.splice(0)) stream.destroy();
  for (const listener of listeners.splice(0)) listener.close();
  await Promise.all(relays.splice(0).map((relay) => relay.close()));
  slept = [];
});

async function openIapTunnel(given: IapTunnelOptions, signal: AbortSignal): Promise<Duplex> {
  const stream = await openUntracked(given, signal);
  streams.push(stream);
  return stream;
}

/** Time passes where somebody sleeps, and only there. */
function jumpingClock(): Clock {
  let now = 0;
  const sleep = async (ms: number, signal?: AbortSignal) => {
    signal?.throwIfAborted();
    slept.push(ms);
    now += ms;
    await new Promise(setImmediate);
  };
  return { now: () => now, sleep };
}

async function listen(onClient: (client: Socket) => void): Promise<number> {
  const listener = createServer({ allowHalfOpen: true }, (client) => {
    client.on('error', () => {});
    onClient(client);
  }).listen(0, '127.0.0.1');
  listeners.push(listener);
  await once(listener, 'listening');
  return (listener.address() as { port: number }).port;
}

async function relayTo(port: number | null, more: Partial<FakeRelayOptions> = {}): Promise<FakeRelay> {
  const relay = await startFakeRelay({ target: (instance, asked) => (instance === 'cats' && asked === 22 ? port : null), ...more });
  relays.push(relay);
  return relay;
}

function options(relay: FakeRelay, more: Partial<IapTunnelOptions> = {}): IapTunnelOptions {
  const place = { project: 'my-project', zone: 'us-central1-a', instance: 'cats', port: 22, interface: 'nic0' };
  return { ...place, relayUrl: relay.url, token: async () => 'tok', clock: jumpingClock(), ...more };
}

const echo = () => listen((client) => client.pipe(client));

/** Sends all of it, reads as much again, closes. */
async function roundTrip(relay: FakeRelay, bytes: Buffer, chunk: number): Promise<Buffer> {
  const stream = await openIapTunnel(options(relay), never);
  const back: Buffer[] = [];
  let size = 0;
  for (let at = 0; at < bytes.length; at += chunk) stream.write(bytes.subarray(at, at + chunk));
  while (size < bytes.length) {
    const got = stream.read() as Buffer | null;
    if (got === null) await once(stream, 'readable');
    back.push(got ?? Buffer.alloc(0));
    size += got?.length ?? 0;
  }
  stream.destroy();
  return Buffer.concat(back);
}

describe('a tunnel', () => {
  test('asks as documented, and carries bytes both ways', async () => {
    const relay = await relayTo(await echo());
    const bytes = randomBytes(1_000_000);
    expect((await roundTrip(relay, bytes, 70_000)).equals(bytes)).toBe(true);
    expect(relay.requests.map(({ pathname, search }) => pathname + search)).toEqual([
      '/v4/connect?project=my-project&port=22&newWebsocket=True&zone=us-central1-a&instance=cats&interface=nic0',
    ]);
    expect(relay.complaints).toEqual([]);
  });

  test('is taken up again wherever it is cut, and not a byte is lost, doubled or moved', async () => {
    const port = await echo();
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 200_000, size: 'max' }),
        fc.integer({ min: 1, max: 60_000 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 120_000 })),
        fc.constantFrom(1006, 4004, 1011),
        async (array, chunk, cuts, cutCode) => {
          const relay = await relayTo(port, { cutCode, cutAfter: () => cuts.next().value ?? 1 });
          const bytes = Buffer.from(array);
          expect((await roundTrip(relay, bytes, chunk)).equals(bytes)).toBe(true);
          expect(relay.complaints).toEqual([]);
        },
      ),
      { numRuns: 25 },
    );
  });

  test('a relay that does not answer is asked again', async () => {
    const relay = await relayTo(await echo(), { silentAttempts: 2 });
    const stream = await openIapTunnel(options(relay, { attemptMs: 50 }), never);
    relay.cutAll();
    stream.write('hello');
    await once(stream, 'readable');
    expect(String(stream.read())).toBe('hello');
    expect(relay.requests.map(({ pathname }) => pathname)).toEqual(['/v4/connect', '/v4/reconnect', '/v4/reconnect', '/v4/reconnect']);
  });

  test('ends when the machine closes, with all that it had sent before', async () => {
    const bytes = randomBytes(300_000);
    const relay = await relayTo(await listen((client) => client.end(bytes)));
    const stream = await openIapTunnel(options(relay), never);
    expect((await buffer(stream)).equals(bytes)).toBe(true);
  });

  test('our end reaches the machine after the last byte, also when the tunnel was just cut', async () => {
    const bytes = randomBytes(100_000);
    for (const cutAfter of [Number.POSITIVE_INFINITY, 50_000]) {
      const arrived = Promise.withResolvers<Buffer>();
      let first = true;
      const relay = await relayTo(await listen((client) => void buffer(client).then(arrived.resolve, arrived.reject)), {
        cutAfter: () => {
          const after = first ? cutAfter : Number.POSITIVE_INFINITY;
          first = false;
          return after;
        },
      });
      const stream = await openIapTunnel(options(relay), never);
      stream.resume().end(bytes);
      expect((await arrived.promise).equals(bytes)).toBe(true);
    }
  });

  test('a reader that does not read holds the machine back', async () => {
    let taken = 0;
    const source = Readable.from(
      (function* () {
        for (; taken < 4_000; taken += 1) yield Buffer.alloc(16_384);
      })(),
    );
    const relay = await relayTo(await listen((client) => void source.pipe(client)));
    const stream = await openIapTunnel(options(relay), never);
    await once(stream, 'readable');
    let before = -1;
    while (before !== taken) {
      before = taken;
      await new Promise((done) => setTimeout(done, 100));
    }
    expect(taken).toBeLessThan(3_000); // of 64 MB; the rest is buffers of sockets and of the relay
    stream.destroy();
  });

  test('a writer waits while the relay confirms nothing', async () => {
    const relay = await relayTo(await listen((client) => void client.pause()));
    const stream = await openIapTunnel(options(relay), never);
    relay.holdAcks();
    let handed = 0;
    for (let n = 0; n < 400; n += 1) stream.write(Buffer.alloc(16_384), () => (handed += 1));
    await expect.poll(() => handed).toBeGreaterThan(100);
    let before = -1;
    while (before !== handed) {
      before = handed;
      await new Promise((done) => setTimeout(done, 100));
    }
    expect(handed * 16_384).toBeLessThanOrEqual(2 * 1024 * 1024 + 16_384);
    stream.destroy();
  });
});

describe('what goes wrong', () => {
  test('no permission: which one, and the command', async () => {
    const relay = await relayTo(await echo(), { accepts: (token) => token === 'good' });
    await expect(openIapTunnel(options(relay), never)).rejects.toMatchObject({
      code: 'not-allowed',
      retry: 'never',
      message: expect.stringContaining('iap.tunnelInstances.accessViaIAP'),
      hints: expect.arrayContaining([expect.stringContaining('gcloud projects add-iam-policy-binding my-project')]),
    });
    await expect(openIapTunnel(options(relay, { token: async () => 'good' }), never)).resolves.toBeDefined();
  });

  test('nothing listens: the firewall rule that the relay needs', async () => {
    const relay = await relayTo(null);
    await expect(openIapTunnel(options(relay), never)).rejects.toMatchObject({
      code: 'connection',
      retry: 'same',
      hints: [expect.stringMatching(/gcloud compute firewall-rules create .*--rules=tcp:22 --source-ranges=35\.235\.240\.0\/20/)],
    });
  });

  test('no relay; a relay without encryption', async () => {
    const relay = await relayTo(null);
    await relay.close();
    await expect(openIapTunnel(options(relay), never)).rejects.toMatchObject({ code: 'connection', retry: 'same' });
    for (const relayUrl of ['ws://relay.example.org/v4/', 'http://127.0.0.1/', 'nonsense']) {
      await expect(openIapTunnel(options(relay, { relayUrl }), never)).rejects.toMatchObject({ code: 'bad-input' });
    }
  });

  test('an abort while it connects', async () => {
    const silent = await listen(() => {});
    const abort = new AbortController();
    const opening = openIapTunnel({ ...options(await relayTo(null)), relayUrl: `ws://127.0.0.1:${silent}/` }, abort.signal);
    setImmediate(() => abort.abort(new Error('enough')));
    await expect(opening).rejects.toThrow('enough');
  });

  test('a tunnel that the relay does not know any more ends with an error', async () => {
    const relay = await relayTo(await echo());
    const stream = await openIapTunnel(options(relay), never);
    relay.forget();
    const [error] = await once(stream, 'error');
    expect(error).toMatchObject({ code: 'connection', retry: 'same', message: expect.stringContaining('could not be taken up again') });
    expect(slept).toEqual([]);
  });

  test('a relay that stays away is tried for a quarter of an hour, with growing pauses; each time with a new token', async () => {
    const relay = await relayTo(await echo());
    let tokens = 0;
    const token = async () => `tok-${++tokens}`;
    const stream = await openIapTunnel(options(relay, { token }), never);
    await relay.close();
    await once(stream, 'error');
    const all = slept.reduce((sum, ms) => sum + ms, 0);
    expect(all).toBeGreaterThanOrEqual(15 * 60_000);
    expect(all).toBeLessThan(16 * 60_000);
    expect(slept.slice(0, 2).map(Math.round)).toEqual([1500, 1650]);
    expect(Math.max(...slept)).toBe(20_000);
    expect(tokens).toBe(slept.length + 2);
  });
});
