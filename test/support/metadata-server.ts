/** A metadata server as a machine on Compute Engine sees it, on loopback: values with etags, and answers that wait for a change. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FakeMetadata extends AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  /** Path and query of every question, in order. */
  readonly asked: readonly string[];
  set(key: string, value: string): void;
  /** How many questions wait for an answer. */
  readonly waiting: number;
  /** Every answer from now on; null: the right ones again. */
  misbehave(how: ((request: IncomingMessage, answer: ServerResponse) => void) | null): void;
}

export async function startMetadataServer(values: Readonly<Record<string, string>> = {}): Promise<FakeMetadata> {
  const states = new Map(
    Object.entries({ 'instance/preempted': 'FALSE', 'instance/maintenance-event': 'NONE', ...values }).map(([key, text]) => [key, { text, version: 1 }]),
  );
  const asked: string[] = [];
  const waiters = new Set<() => void>();
  let wrong: ((request: IncomingMessage, answer: ServerResponse) => void) | null = null;

  const server = createServer((request, answer) => {
    asked.push(request.url ?? '');
    if (wrong !== null) return wrong(request, answer);
    const url = new URL(request.url ?? '/', 'http://metadata');
    const key = url.pathname.replace('/computeMetadata/v1/', '');
    const reply = () => {
      const state = states.get(key);
      if (request.headers['metadata-flavor'] !== 'Google') return void answer.writeHead(403).end('Missing Metadata-Flavor:Google header.');
      if (state === undefined) return void answer.writeHead(404, { 'Metadata-Flavor': 'Google' }).end();
      answer.writeHead(200, { 'Metadata-Flavor': 'Google', ETag: `e${state.version}`, 'Content-Type': 'application/text' }).end(state.text);
    };
    const waits = url.searchParams.get('wait_for_change') === 'true' && url.searchParams.get('last_etag') === `e${states.get(key)?.version}`;
    if (!waits) return reply();
    const done = () => {
      if (waits && url.searchParams.get('last_etag') === `e${states.get(key)?.version}`) return;
      waiters.delete(done);
      reply();
    };
    waiters.add(done);
    request.on('close', () => waiters.delete(done));
    answer.on('close', () => waiters.delete(done));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    get waiting() {
      return waiters.size;
    },
    set(key, text) {
      states.set(key, { text, version: (states.get(key)?.version ?? 0) + 1 });
      for (const wake of [...waiters]) wake();
    },
    misbehave(how) {
      wrong = how;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
