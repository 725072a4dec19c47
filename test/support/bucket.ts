/** Cloud Storage's JSON API as far as a fetch needs it, on loopback: objects with generations, pages, and who may read. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createCrc32c } from '../../remote-runner/crc32c.ts';

export interface FakeBucket extends AsyncDisposable {
  /** For `STORAGE_EMULATOR_HOST`. */
  readonly url: string;
  readonly objects: Map<string, { bytes: Buffer; generation: string; crc32c?: string }>;
  /** Path and query of every question, in order. */
  readonly asked: string[];
  /** Who may read it; null: everybody. */
  token: string | null;
  put(name: string, text: string): void;
}

const pageSize = 3;

/** Its name is `pets`. */
export async function startBucket(): Promise<FakeBucket> {
  const objects: FakeBucket['objects'] = new Map();
  const asked: string[] = [];
  const it: { token: string | null } = { token: null };
  const facts = (name: string) => {
    const object = objects.get(name);
    if (object === undefined) return null;
    const sum = createCrc32c();
    sum.update(object.bytes);
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(sum.value);
    return { name, size: String(object.bytes.length), generation: object.generation, crc32c: object.crc32c ?? bytes.toString('base64') };
  };
  const server = createServer((request, answer) => {
    asked.push(request.url ?? '');
    const url = new URL(request.url ?? '', 'http://bucket');
    const found = /^\/storage\/v1\/b\/pets\/o(?:\/(.*))?$/.exec(url.pathname);
    const name = found?.[1];
    const hasToken = request.headers.authorization === `Bearer ${it.token}`;
    if (it.token !== null && !hasToken) return void answer.writeHead(request.headers.authorization === undefined ? 401 : 403).end('{}');
    const json = (value: unknown) => void answer.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    if (found === null) return void answer.writeHead(404).end('{}');
    if (name === undefined) {
      const names = [...objects.keys()].filter((key) => key.startsWith(url.searchParams.get('prefix') ?? '')).sort();
      const from = Number(url.searchParams.get('pageToken') ?? 0);
      const next = from + pageSize < names.length ? { nextPageToken: String(from + pageSize) } : {};
      return json({ items: names.slice(from, from + pageSize).map(facts), ...next });
    }
    const key = decodeURIComponent(name);
    const object = objects.get(key);
    if (object === undefined) return void answer.writeHead(404).end('{}');
    if (url.searchParams.get('alt') !== 'media') return json(facts(key));
    if (url.searchParams.get('generation') !== object.generation) return void answer.writeHead(404).end();
    answer.writeHead(200, { 'content-length': object.bytes.length }).end(object.bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  let generation = 1_000;
  return Object.assign(it, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects,
    asked,
    put: (name: string, text: string) => {
      generation += 1;
      objects.set(name, { bytes: Buffer.from(text), generation: String(generation) });
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}
