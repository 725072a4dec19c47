/** What happens when Google, the network or the caller does not go on: decoded once, repeated only where that is safe, never for long. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import nock from 'nock';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Clock, systemClock } from '../../../../../src/core/clock.ts';
import { createFakeClock } from '../../../../../src/testing/fake-clock.ts';
import { type Answer, type GoogleServer, json, openApi, startGoogle } from './google-server.ts';

const zone = 'us-central1-a';
const operation = { id: '1', name: 'operation-1', operationType: 'insert', status: 'DONE' };
const instance = { id: '1', name: 'a', zone, status: 'RUNNING', machineType: 'm' };
const failure = (code: number, reason: string, message = 'no') => ({ error: { code, message, errors: [{ reason, message }] } });

let google: GoogleServer;
let clock: Clock & { readonly pauses: number[] };
beforeEach(async () => {
  google = await startGoogle((_request, response) => json(response, instance));
  clock = withoutPauses();
});
afterEach(async () => await google[Symbol.asyncDispose]());

/** Pauses between tries take no time, and are written down; limits of 20 s and more are real. */
function withoutPauses(): Clock & { readonly pauses: number[] } {
  const pauses: number[] = [];
  let skipped = 0;
  return {
    pauses,
    now: () => Date.now() + skipped,
    sleep: async (ms, signal) => {
      if (ms >= 20_000) return await systemClock.sleep(ms, signal);
      pauses.push(ms);
      skipped += ms;
    },
  };
}

const troubles: Readonly<Record<string, Answer>> = {
  'connection reset': (_request, response) => response.socket?.destroy(),
  'cut off in the answer': (_request, response) => {
    response.writeHead(200, { 'content-length': '500' }).write('{"na');
    response.socket?.end();
  },
  'a 503': (_request, response) => json(response, failure(503, 'backendError'), 503),
  'a 502 in HTML': (_request, response) => response.writeHead(502, { 'content-type': 'text/html' }).end('<html><title>Bad gateway</title></html>'),
  'a 200 that is not the API': (_request, response) => response.writeHead(200).end('<html><title>Log in to this Wi-Fi</title></html>'),
};

for (const [name, trouble] of Object.entries(troubles)) {
  test(`${name}: what reads or has a request id is tried again, with the same id; what has none is not`, async () => {
    const api = await openApi(google, { clock });
    google.answer = (request, response, count) => (count % 3 === 0 ? json(response, { ...operation, ...instance }) : trouble(request, response, count));
    expect(await api.getInstance(zone, 'a')).toMatchObject({ name: 'a' });
    await api.insertInstance(zone, { name: 'a' }, 'id-1');
    expect(google.received.slice(3).map(({ url, body }) => [url.split('?')[1], body])).toEqual(Array(3).fill(['requestId=id-1', '{"labels":{},"name":"a"}']));
    await expect(api.setMetadata(zone, 'a', [], 'print')).rejects.toMatchObject({ name: 'GceError', outcomeUnknown: true });
    expect(google.received).toHaveLength(7);
    expect(clock.pauses).toEqual([500, 1_000, 500, 1_000]);
  });
}

test('a server that never recovers is given up after six tries, with what it said', async () => {
  const api = await openApi(google, { clock });
  google.answer = troubles['a 502 in HTML']!;
  await expect(api.getInstance(zone, 'a')).rejects.toMatchObject({ name: 'GceError', status: 502, message: 'Bad gateway', call: 'instances get' });
  expect(google.received).toHaveLength(6);
});

const limits: readonly (readonly [string, number, unknown])[] = [
  ['429', 429, failure(429, 'x')],
  ['403 rateLimitExceeded', 403, failure(403, 'rateLimitExceeded')],
  ['403 by message', 403, failure(403, 'quotaExceeded', "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute' of service")],
  [
    'ErrorInfo',
    403,
    {
      error: {
        code: 403,
        message: 'no',
        details: [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'RATE_LIMIT_EXCEEDED', metadatas: { a: 'b' } }],
      },
    },
  ],
];
for (const [name, status, body] of limits) {
  test(`rate limit (${name}): backed off in place, whatever the call`, async () => {
    const api = await openApi(google, { clock });
    google.answer = (_request, response, count) => (count < 3 ? json(response, body, status) : json(response, operation));
    await api.setMetadata(zone, 'a', [], 'print');
    expect(google.received).toHaveLength(3);
    expect(clock.pauses).toEqual([1_000, 2_000]);
  });
}

test('as long as the server asks to wait, unless that is too long', async () => {
  const api = await openApi(google, { clock });
  google.answer = (_request, response, count) => (count === 1 ? response.writeHead(429, { 'retry-after': '7' }).end('{}') : json(response, instance));
  await api.getInstance(zone, 'a');
  expect(clock.pauses).toEqual([7_000]);
  google.answer = (_request, response) => response.writeHead(429, { 'retry-after': '90' }).end('{}');
  await expect(api.getInstance(zone, 'a')).rejects.toMatchObject({ status: 429, retryAfterMs: 90_000 });
  expect(google.received).toHaveLength(3);
});

for (const [status, reason] of [
  [403, 'quotaExceeded'],
  [403, 'forbidden'],
  [400, 'invalid'],
  [409, 'alreadyExists'],
  [412, 'conditionNotMet'],
  [503, 'insufficientCapacity'],
  [501, 'notImplemented'],
] as const) {
  test(`${status} ${reason} is told at once`, async () => {
    const api = await openApi(google, { clock });
    google.answer = (_request, response) => json(response, failure(status, reason, 'because'), status);
    await expect(api.insertInstance(zone, { name: 'a' }, 'id')).rejects.toMatchObject({
      name: 'GceError',
      status,
      reasons: [reason],
      message: 'because',
      call: 'instances insert',
    });
    expect(google.received).toHaveLength(1);
  });
}

test('a too busy project is not waited for here', async () => {
  const api = await openApi(google, { clock });
  const details = [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'CONCURRENT_OPERATIONS_QUOTA_EXCEEDED', metadata: { quota: '5', odd: 1 } }];
  google.answer = (_request, response) => json(response, { error: { code: 429, message: 'busy', details } }, 429);
  await expect(api.getInstance(zone, 'a')).rejects.toMatchObject({
    status: 429,
    details: [{ reason: 'CONCURRENT_OPERATIONS_QUOTA_EXCEEDED', metadata: { quota: '5' } }],
  });
  expect(google.received).toHaveLength(1);
});

test('a server that says nothing costs 60 s, waiting for an operation 130 s, and no more', async () => {
  const fake = createFakeClock();
  const api = await openApi(google, { clock: fake });
  google.answer = () => {};
  const costs = async (work: Promise<unknown>): Promise<unknown> => {
    const started = fake.now();
    const said = await turnOn(
      fake,
      work.catch(({ name, status, message }) => `${name} ${status} ${message}`),
    );
    return [said, Math.floor((fake.now() - started) / 1000)];
  };
  expect(await costs(api.insertInstance(zone, { name: 'a' }, 'id'))).toEqual(['GceError null no answer within 60 s', 60]);
  expect(await costs(api.waitOperation({ ...operation, status: 'RUNNING' } as never))).toEqual(['GceError null no answer within 130 s', 130]);
  google.token = () => {};
  expect(await costs((await openApi(google, { clock: fake })).accessToken())).toEqual(['GceError null no answer within 60 s', 60]);
});

/** Half a second at a time, so that requests are sent for real in between. */
async function turnOn<T>(fake: ReturnType<typeof createFakeClock>, work: Promise<T>): Promise<T> {
  let over = false;
  void work.finally(() => (over = true));
  while (!over) {
    if (fake.sleeping > 0) await fake.advance(500);
    else await new Promise((resolve) => setImmediate(resolve));
  }
  return await work;
}

test('an abort ends the call at once with its reason, and the request with it', async () => {
  const api = await openApi(google);
  const torn = new Promise<void>((resolve) => {
    google.answer = (_request, response) => response.on('close', () => resolve());
  });
  const stop = new AbortController();
  const call = api.insertInstance(zone, { name: 'a' }, 'id', stop.signal);
  await google.arrived();
  await google.arrived();
  const reason = new Error('enough');
  stop.abort(reason);
  await expect(call).rejects.toBe(reason);
  await torn;
  await expect(api.getProject(stop.signal)).rejects.toBe(reason);
  expect(google.received).toHaveLength(1);
});

test('an abort while the token endpoint hangs ends the call too', async () => {
  google.token = () => {};
  const api = await openApi(google);
  const stop = new AbortController();
  const calls = [api.getProject(stop.signal), api.accessToken(stop.signal)];
  await google.arrived();
  stop.abort(new Error('enough'));
  for (const { status, reason } of (await Promise.allSettled(calls)) as PromiseRejectedResult[])
    expect([status, reason.message]).toEqual(['rejected', 'enough']);
});

test('a refused token is got anew, once', async () => {
  const api = await openApi(google);
  google.answer = ({ headers }, response) =>
    headers.authorization === 'Bearer token-2' ? json(response, instance) : json(response, failure(401, 'authError'), 401);
  expect(await api.getInstance(zone, 'a')).toMatchObject({ name: 'a' });
  google.answer = (_request, response) => json(response, failure(401, 'authError'), 401);
  await expect(api.getInstance(zone, 'a')).rejects.toMatchObject({ status: 401 });
  expect(google.received).toHaveLength(4);
});

test('the log has each request, without secrets', async () => {
  const lines: string[] = [];
  const api = await openApi(google, { clock, log: (line) => lines.push(line) });
  google.answer = (_request, response, count) => (count === 1 ? response.socket?.destroy() : json(response, instance));
  await api.getInstance(zone, 'a');
  const url = `GET ${google.origin}/compute/v1/projects/proj-test/zones/${zone}/instances/a`;
  expect(lines.map((line) => line.replace(/\d+ ms$/, 'N ms'))).toEqual([`${url} no answer N ms`, `${url} 200 N ms`]);
});

test('calls to Google go through the proxy; what is on this computer does not', async () => {
  const asked: string[] = [];
  const proxy = createServer().on('connect', (request, socket) => {
    asked.push(request.url ?? '');
    socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  try {
    const api = await openApi(google, { clock, env: { GPU_RUN_GCP_ENDPOINT: '', https_proxy: address, HTTP_PROXY: address } });
    await expect(api.setMetadata(zone, 'a', [], 'print')).rejects.toMatchObject({ name: 'GceError', status: null });
    expect(asked).toEqual(['compute.googleapis.com:443']);
    expect(google.tokenRequests).toHaveLength(1);
    await (await openApi(google, { env: { HTTP_PROXY: address, HTTPS_PROXY: address } })).getInstance(zone, 'a');
    expect(asked).toHaveLength(1);
  } finally {
    proxy.close();
  }
  await expect(openApi(google, { env: { HTTPS_PROXY: 'user:secret@proxy' } })).rejects.toThrow(/^HTTPS_PROXY is not the http or https address of a proxy/);
});

test("without an endpoint of one's own, Google is asked over https", async () => {
  nock.disableNetConnect();
  nock.enableNetConnect('127.0.0.1');
  try {
    const scope = nock('https://compute.googleapis.com', { reqheaders: { authorization: 'Bearer token-1' } })
      .get('/compute/v1/projects/proj-test')
      .reply(200, { name: 'proj-test' });
    const api = await openApi(google, { env: { GPU_RUN_GCP_ENDPOINT: undefined } });
    expect(await api.getProject()).toEqual({ name: 'proj-test', quotas: [] });
    expect(scope.isDone()).toBe(true);
  } finally {
    nock.cleanAll();
    nock.enableNetConnect();
    nock.restore();
  }
});
