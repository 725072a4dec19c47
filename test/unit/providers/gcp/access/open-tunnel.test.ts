import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../../../../src/core/clock.ts';
import { openTunnel } from '../../../../../src/providers/gcp/access/open-tunnel.ts';
import type { GceApi } from '../../../../../src/providers/gcp/gce-api.ts';
import { type FakeRelay, startFakeRelay } from '../../../../emulators/iap/relay.ts';

const signal = new AbortController().signal;
const api = { project: 'own-project', accessToken: async () => 'tok' } as Partial<GceApi> as GceApi;
let echo: Server;
let relay: FakeRelay;

beforeEach(async () => {
  echo = createServer((client) => client.pipe(client)).listen(0, '127.0.0.1');
  await once(echo, 'listening');
  const { port } = echo.address() as { port: number };
  relay = await startFakeRelay({ target: (instance, asked) => (instance === 'cats-1' && asked === 2222 ? port : null), accepts: (token) => token === 'tok' });
});
afterEach(async () => {
  await relay.close();
  echo.close();
});

const open = (to: Readonly<Record<string, unknown>>) => openTunnel(api, to, signal, { clock: systemClock, relayUrl: relay.url });
const to = { project: null, zone: 'us-central1-a', instance: 'cats-1', interface: 'nic0', port: 2222 };

test("from what the ledger keeps; without a project, the account's own", async () => {
  for (const project of [null, 'p2', 'example.com:p3']) {
    const stream = await open({ ...to, project });
    stream.write('hello');
    expect(String((await once(stream, 'data'))[0])).toBe('hello');
    stream.destroy();
  }
  expect(relay.requests.map(({ searchParams }) => searchParams.get('project'))).toEqual(['own-project', 'p2', 'example.com:p3']);
});

test.each([
  ['no zone', { zone: null }],
  ['an instance that is none', { instance: 'cats&port=22' }],
  ['no port', { port: '22' }],
  ['a port that is none', { port: 70_000 }],
])('%s: our bug, and nobody is asked', async (_, wrong) => {
  await expect(open({ ...to, ...wrong })).rejects.toMatchObject({ code: 'internal' });
  expect(relay.requests).toEqual([]);
});
