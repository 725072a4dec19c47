/** A raw HTTP server on loopback in Google's place, and an API that is pointed at it. */
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, systemClock } from '../../../../../src/core/clock.ts';
import { createGceApi, type GceApiOptions } from '../../../../../src/providers/gcp/api/create-gce-api.ts';
import type { GceApi } from '../../../../../src/providers/gcp/gce-api.ts';

export interface Received {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}
export type Answer = (received: Received, response: ServerResponse, count: number) => void;

export interface GoogleServer extends AsyncDisposable {
  readonly origin: string;
  readonly folder: string;
  /** Of the API, without those for tokens. */
  readonly received: readonly Received[];
  readonly tokenRequests: readonly Received[];
  /** `count`: from 1, of the requests to the API. */
  answer: Answer;
  token: Answer;
  write(name: string, content: unknown): string;
  /** Resolves when a request has come. */
  arrived(): Promise<void>;
}

export const json = (response: ServerResponse, value: unknown, status = 200): void => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
};

export async function startGoogle(answer: Answer): Promise<GoogleServer> {
  const folder = mkdtempSync(join(tmpdir(), 'gpu-run-google-'));
  const received: Received[] = [];
  const tokenRequests: Received[] = [];
  let wake: (() => void)[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => {});
    request.on('end', () => {
      const one: Received = { method: request.method ?? '', url: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks).toString() };
      const isToken = one.url.startsWith('/token') || one.url.startsWith('/subject') || one.url.startsWith('/v1/projects/-/');
      const list = isToken ? tokenRequests : received;
      list.push(one);
      for (const up of wake) up();
      wake = [];
      (isToken ? google.token : google.answer)(one, response, list.length);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const google: GoogleServer = {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    folder,
    received,
    tokenRequests,
    answer,
    token: (_request, response, count) => json(response, { access_token: `token-${count}`, expires_in: 3600, token_type: 'Bearer' }),
    write(name, content) {
      const path = join(folder, name);
      writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
      return path;
    },
    arrived: () => new Promise((resolve) => wake.push(resolve)),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return google;
}

let key: string | undefined;
/** A service account's file, as Google writes it, with a key made here. */
export function serviceAccount(tokenUri: string, more: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  key ??= generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  return {
    type: 'service_account',
    project_id: 'proj-of-key',
    client_email: 'runner@proj-of-key.iam.gserviceaccount.com',
    private_key: key,
    token_uri: tokenUri,
    ...more,
  };
}

/** By default a user's credentials, project `proj-test`, and no chance in pauses. */
export async function openApi(google: GoogleServer, more: Partial<GceApiOptions> & { readonly clock?: Clock } = {}): Promise<GceApi> {
  const credentialsFile = google.write('user.json', {
    type: 'authorized_user',
    client_id: 'id',
    client_secret: 'client-secret',
    refresh_token: 'refresh-secret',
    token_uri: `${google.origin}/token`,
  });
  return await createGceApi({
    project: 'proj-test',
    credentialsFile,
    platform: 'linux',
    clock: systemClock,
    random: () => 0,
    ...more,
    env: { GPU_RUN_GCP_ENDPOINT: google.origin, ...more.env },
  });
}
