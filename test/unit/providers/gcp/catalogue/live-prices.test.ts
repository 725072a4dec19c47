import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type LivePriceParts, livePrices } from '../../../../../src/providers/gcp/catalogue/live-prices.ts';
import { machineTypeFacts } from '../../../../../src/providers/gcp/catalogue/machine-type.ts';
import { createFakeClock, type FakeClock } from '../../../../../src/testing/fake-clock.ts';
import { page } from './sku-page.ts';

/** Cloud Billing on loopback. Each request is put into `asked`, and answered by `answer`. */
let server: Server;
let asked: { readonly url: URL; readonly headers: IncomingMessage['headers'] }[];
let answer: (response: ServerResponse, url: URL, headers: IncomingMessage['headers']) => void;
let cache: string;
let clock: FakeClock;
let lines: string[];
let parts: LivePriceParts;

const inPages: typeof answer = (response, url) => {
  const at = Number(url.searchParams.get('pageToken') ?? '0');
  const skus = page.slice(at, at + 15);
  const nextPageToken = at + 15 < page.length ? String(at + 15) : '';
  response.setHeader('content-type', 'application/json').end(JSON.stringify({ skus, nextPageToken }));
};
const status =
  (code: number): typeof answer =>
  (response) =>
    response.writeHead(code, { 'content-type': 'text/html' }).end('<html>no</html>');

beforeEach(async () => {
  asked = [];
  lines = [];
  answer = inPages;
  server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://127.0.0.1');
    asked.push({ url, headers: request.headers });
    answer(response, url, request.headers);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cache = join(mkdtempSync(join(tmpdir(), 'gcp-prices-')), 'cache');
  clock = createFakeClock(Date.UTC(2026, 10, 21));
  const billingUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  parts = { cache, billingUrl, clock, project: 'p1', accessToken: async () => 'secret-token', log: (line) => lines.push(line) };
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(join(cache, '..'), { recursive: true, force: true });
});

const l4 = machineTypeFacts('g2-standard-4')!;
const file = () => join(cache, 'gcp-prices.json');
const hours = (count: number) => clock.jump(count * 3_600_000);

describe('live prices', () => {
  test('are read page by page with the token, and priced with the time they were read', async () => {
    const book = await livePrices(parts);
    expect(book?.machine(l4, 'us-central1', false)).toEqual({ perHour: expect.closeTo(0.7068, 3), asOf: clock.now(), source: 'Cloud Billing catalog' });
    expect(asked.length).toBe(Math.ceil(page.length / 15));
    expect(asked[0]?.url.pathname).toBe('/v1/services/6F81-5844-456A/skus');
    expect(Object.fromEntries(asked[1]?.url.searchParams ?? [])).toEqual({ currencyCode: 'USD', pageSize: '5000', pageToken: '15' });
    expect(asked[0]?.headers).toMatchObject({ authorization: 'Bearer secret-token', 'x-goog-user-project': 'p1' });
  });

  test('are kept for some hours, by this user alone, without the token', async () => {
    await livePrices(parts);
    const [calls, at] = [asked.length, clock.now()];
    await hours(11);
    const again = await livePrices({ ...parts, accessToken: () => Promise.reject(new Error('asked')) });
    expect(again?.machine(l4, 'us-central1', false)?.asOf).toBe(at);
    expect(asked.length).toBe(calls);
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(readFileSync(file(), 'utf8')).not.toContain('secret-token');
    await hours(2);
    expect((await livePrices(parts))?.machine(l4, 'us-central1', false)?.asOf).toBe(clock.now());
  });

  test('a failure falls back on what was kept, and the catalog is left alone for an hour', async () => {
    await livePrices(parts);
    const at = clock.now();
    await hours(12);
    answer = status(500);
    const calls = asked.length;
    expect((await livePrices(parts))?.machine(l4, 'us-central1', false)?.asOf).toBe(at);
    expect(lines.join()).toContain('HTTP 500');
    expect(lines.join()).not.toContain('secret-token');
    expect(await livePrices(parts)).not.toBeNull();
    expect(asked.length).toBe(calls + 1);
    answer = inPages;
    await hours(1);
    expect((await livePrices(parts))?.machine(l4, 'us-central1', false)?.asOf).toBe(clock.now());
  });

  test('credentials that don’t work are no fault of the catalog: it is asked as soon as they do', async () => {
    expect(await livePrices({ ...parts, accessToken: () => Promise.reject(new Error('expired')) })).toBeNull();
    expect([asked.length, lines.join()]).toEqual([0, expect.stringContaining('expired')]);
    expect(await livePrices(parts)).not.toBeNull();
  });

  test('prices kept for more than a week are not used', async () => {
    await livePrices(parts);
    answer = status(503);
    await hours(24 * 8);
    expect(await livePrices(parts)).toBeNull();
    expect(await livePrices(parts)).toBeNull();
  });

  test('without the right to charge the project, its own is charged', async () => {
    answer = (response, url, headers) => (headers['x-goog-user-project'] === undefined ? inPages : status(403))(response, url, headers);
    expect(await livePrices(parts)).not.toBeNull();
    answer = status(403);
    rmSync(file());
    expect(await livePrices(parts)).toBeNull();
    expect(lines.join()).toContain("is cloudbilling.googleapis.com enabled in 'p1'?");
  });

  test.each([
    ['HTML', status(200)],
    ['no object', ((response) => response.end('null')) as typeof answer],
    ['an empty catalog', ((response) => response.end('{}')) as typeof answer],
    ['a cut connection', ((response) => response.destroy()) as typeof answer],
    ['pages without end', ((response) => response.end('{"skus":[],"nextPageToken":"x"}')) as typeof answer],
  ])('%s: there are none', async (_, bad) => {
    answer = bad;
    expect(await livePrices(parts)).toBeNull();
    expect(lines).toHaveLength(1);
  });

  test('a catalog that does not answer is given up after its time', async () => {
    answer = () => undefined;
    const waiting = livePrices(parts);
    await expect.poll(() => asked.length).toBe(1);
    await clock.advance(8_000);
    expect(await waiting).toBeNull();
    expect(lines.join()).toContain('no whole answer within 8 seconds');
  });

  test('a catalog that is too slow is read on by the next command, and has the date of its first page', async () => {
    const slow: typeof answer = (response, url, headers) => (url.searchParams.get('pageToken') === '30' ? undefined : inPages(response, url, headers));
    answer = slow;
    const first = livePrices(parts);
    await expect.poll(() => asked.length).toBe(3);
    await clock.advance(8_000);
    expect(await first).toBeNull();
    const [begun, calls] = [clock.now() - 8_000, asked.length];
    answer = inPages;
    await clock.jump(60_000);
    const book = await livePrices(parts);
    expect(asked.slice(calls).map(({ url }) => url.searchParams.get('pageToken'))).toEqual(['30']);
    expect(book?.machine(l4, 'us-central1', false)).toMatchObject({ perHour: expect.closeTo(0.7068, 3), asOf: begun });
  });

  test('what was read too long ago is not gone on with, nor is a page that is not there any more', async () => {
    answer = (response, url, headers) => (url.searchParams.get('pageToken') === '30' ? undefined : inPages(response, url, headers));
    const first = livePrices(parts);
    await expect.poll(() => asked.length).toBe(3);
    await clock.advance(8_000);
    await first;
    const text = readFileSync(file(), 'utf8');
    answer = status(400);
    expect(await livePrices(parts)).toBeNull();
    expect(JSON.parse(readFileSync(file(), 'utf8'))).toMatchObject({ partial: null });
    writeFileSync(file(), text);
    answer = inPages;
    const calls = asked.length;
    await hours(2);
    await livePrices(parts);
    expect(asked[calls]?.url.searchParams.get('pageToken')).toBeNull();
  });

  test('the caller leaves: its reason is thrown, and nothing is remembered as a failure', async () => {
    answer = () => undefined;
    const leaving = new AbortController();
    const waiting = livePrices(parts, leaving.signal);
    await expect.poll(() => asked.length).toBe(1);
    const reason = new Error('left');
    leaving.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    expect(existsSync(file())).toBe(false);
    expect(clock.sleeping).toBe(0);
  });

  test.each(['', '{', '[]', '{"version":1,"asOf":"x"}', '{"version":1,"asOf":1e30,"rates":{}}', '{"version":1,"asOf":1,"rates":{"a":"b"}}', '{"version":2}'])(
    'a damaged file (%s) is as none',
    async (text) => {
      await livePrices(parts);
      writeFileSync(file(), text);
      expect((await livePrices(parts))?.machine(l4, 'us-central1', false)).not.toBeNull();
      expect(JSON.parse(readFileSync(file(), 'utf8'))).toMatchObject({ version: 1, failedAt: null });
    },
  );

  test('a cache that can’t be written costs only the cache', async () => {
    writeFileSync(cache, 'a file, not a folder');
    expect(await livePrices(parts)).not.toBeNull();
  });
});
