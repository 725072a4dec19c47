/** Calls to Google beside the client library: over plain Node connections, through the proxy that the environment names. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { openRelaySocket } from '../../../../../src/providers/gcp/access/iap/relay-socket.ts';
import { createFetch } from '../../../../../src/providers/gcp/api/proxied-fetch.ts';
import { createAgents } from '../../../../../src/providers/gcp/api/proxy.ts';

const open: Server[] = [];
afterEach(() => {
  for (const server of open.splice(0)) server.close().closeAllConnections();
});

async function listen(server: Server): Promise<string> {
  open.push(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Refuses to connect anywhere, and tells where to it was asked. */
async function refusingProxy() {
  const asked: string[] = [];
  const server = createServer();
  server.on('connect', (request, socket) => {
    asked.push(request.url ?? '');
    socket.end('HTTP/1.1 502 no\r\n\r\n');
  });
  return { asked, address: await listen(server) };
}

const signal = new AbortController().signal;

test('sends method, headers and body, and gives the answer whole', async () => {
  const address = await listen(
    createServer(async (request, response) => {
      let text = '';
      for await (const chunk of request) text += chunk;
      response.writeHead(201, { 'x-said': String(request.headers['x-say']) }).end(JSON.stringify({ method: request.method, text }));
    }),
  );
  const answer = await createFetch(createAgents({}))(`${address}/a?b=c`, { method: 'POST', headers: { 'x-say': 'hello' }, body: 'content', signal });
  expect([answer.status, answer.headers.get('x-said'), await answer.json()]).toEqual([201, 'hello', { method: 'POST', text: 'content' }]);
});

test('follows no redirect: the token is for the first host alone', async () => {
  const address = await listen(createServer((_request, response) => response.writeHead(302, { location: 'http://127.0.0.1:9/' }).end()));
  expect((await createFetch(createAgents({}))(address, { headers: {}, signal })).status).toBe(302);
});

test('an abort rejects with its reason, also in the middle of the body', async () => {
  const abort = new AbortController();
  const address = await listen(
    createServer((_request, response) => {
      response.write('half');
      setTimeout(() => abort.abort(new Error('the user left')), 10);
    }),
  );
  await expect(createFetch(createAgents({}))(address, { headers: {}, signal: abort.signal })).rejects.toThrow('the user left');
  await expect(createFetch(createAgents({}))(address, { headers: {}, signal: abort.signal })).rejects.toThrow('the user left');
});

test('goes through the proxy of the environment, but not to this computer', async () => {
  const { asked, address: proxy } = await refusingProxy();
  const here = await listen(createServer((_request, response) => response.end('here')));
  const get = createFetch(createAgents({ HTTPS_PROXY: proxy, HTTP_PROXY: proxy }));
  expect(await (await get(here, { headers: {}, signal })).text()).toBe('here');
  await expect(get('https://cloudbilling.googleapis.example/v1', { headers: {}, signal })).rejects.toThrow();
  expect(asked).toEqual(['cloudbilling.googleapis.example:443']);
});

test("the relay's sockets do, too", async () => {
  const { asked, address: proxy } = await refusingProxy();
  const place = { project: 'p', zone: 'z', instance: 'i', interface: 'nic0', port: 22, agent: createAgents({ HTTPS_PROXY: proxy }) };
  const events = { message: () => {}, closed: () => {} };
  await expect(openRelaySocket(new URL('wss://tunnel.example/v4/connect'), 'tok', place, events, signal)).rejects.toMatchObject({ code: 'connection' });
  expect(asked).toEqual(['tunnel.example:443']);
});
