/** A web server on loopback with files that can be fetched in parts, and that does what it is told to do wrong. */
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { loopbackCertificate, loopbackKey } from '../fixtures/loopback-tls.ts';

export interface ServedFile {
  bytes: Uint8Array;
  /** With its quotes; null: the server names no state. */
  etag: string | null;
  /** Of `Last-Modified`. */
  modified?: string;
}

export interface FileServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`, or https. */
  readonly url: string;
  readonly files: Map<string, ServedFile>;
  /** `GET /a bytes=5-`, in order. */
  readonly asked: string[];
  readonly headers: IncomingMessage['headers'][];
  /** Takes over questions: true, and it has answered. */
  misbehave: ((request: IncomingMessage, answer: ServerResponse, file: ServedFile | undefined) => boolean) | null;
}

export async function startFileServer({ secure = false } = {}): Promise<FileServer> {
  const files = new Map<string, ServedFile>();
  const asked: string[] = [];
  const headers: IncomingMessage['headers'][] = [];
  const it: { misbehave: FileServer['misbehave'] } = { misbehave: null };
  const answer: RequestListener = (request, response) => {
    const { range } = request.headers;
    asked.push(`${request.method} ${request.url}${range === undefined ? '' : ` ${range}`}`);
    headers.push(request.headers);
    const file = files.get((request.url ?? '').split('?')[0] ?? '');
    if (it.misbehave?.(request, response, file) === true) return;
    if (file === undefined) return void response.writeHead(404).end('no such file');
    serve(file, request, response);
  };
  const server = secure ? createSecureServer({ cert: loopbackCertificate, key: loopbackKey }, answer) : createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(it, {
    url: `${secure ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    files,
    asked,
    headers,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

function serve({ bytes, etag, modified }: ServedFile, request: IncomingMessage, response: ServerResponse): void {
  const state = { ...(etag === null ? {} : { etag }), ...(modified === undefined ? {} : { 'last-modified': modified }) };
  if (etag !== null && request.headers['if-none-match'] === etag) return void response.writeHead(304, state).end();
  const from = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1];
  const ifRange = request.headers['if-range'];
  if (from === undefined || (ifRange !== undefined && ifRange !== etag && ifRange !== modified)) {
    response.writeHead(200, { ...state, 'content-length': bytes.length });
    return void response.end(bytes);
  }
  if (Number(from) >= bytes.length) return void response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
  const rest = bytes.subarray(Number(from));
  response.writeHead(206, { ...state, 'content-length': rest.length, 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` });
  response.end(rest);
}

/** The first `count` bytes of what was asked for, announced whole; then the connection breaks. */
export function cutAfter(count: number): NonNullable<FileServer['misbehave']> {
  return (request, response, file) => {
    if (file === undefined) return false;
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const rest = file.bytes.subarray(from);
    if (rest.length <= count) return false;
    const range = from === 0 ? {} : { 'content-range': `bytes ${from}-${file.bytes.length - 1}/${file.bytes.length}` };
    response.writeHead(from === 0 ? 200 : 206, { ...(file.etag === null ? {} : { etag: file.etag }), 'content-length': rest.length, ...range });
    response.write(rest.subarray(0, count), () => setImmediate(() => response.destroy()));
    return true;
  };
}
