/**
 * One question to a web server: redirects, proxies and silence are dealt with here. May import protocol and `node:`.
 */
import type { IncomingMessage } from 'node:http';
import { isLoopbackName, shownUrl } from '../src/protocol/fetch.ts';
import { type AddressRules, addressRules, RefusedAddress, redirected } from './fetch-address.ts';
import { fetchError, Interruption } from './fetch-error.ts';
import { proxyFor, secured, tunnel } from './fetch-proxy.ts';
import { RunnerError } from './runner-error.ts';

export interface WebOptions {
  /** Proxies are taken from `HTTPS_PROXY` and `NO_PROXY`. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Certificates (PEM) that are trusted in place of Node's own. */
  readonly ca?: string;
  /** After so many milliseconds without a byte a connection counts as broken. Default: 60,000. */
  readonly silenceMs?: number;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  /** Content as it comes. @throws Interruption when it ends too early, or nothing comes for too long */
  readonly body: AsyncIterable<Uint8Array>;
  /** Ends the connection where the body was not read to its end. */
  drop(): void;
}

export interface Web {
  /** Follows redirects. @throws Interruption for what may pass, RunnerError for what does not */
  get(url: URL, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Answer>;
  close(): void;
}

const mostRedirects = 10;

export async function openWeb(options: WebOptions): Promise<Web> {
  // Only now: to import them costs the runner a third of what it takes to start.
  const [plain, secure] = await Promise.all([import('node:http'), import('node:https')]);
  const silenceMs = options.silenceMs ?? 60_000;
  const reuse = { keepAlive: true, maxFreeSockets: 16 };
  const agents = { https: new secure.Agent({ ...reuse, ...(options.ca === undefined ? {} : { ca: options.ca }) }), http: new plain.Agent(reuse) };

  const askOne = async (url: URL, headers: Readonly<Record<string, string>>, rules: AddressRules, signal: AbortSignal): Promise<IncomingMessage> => {
    const proxy = url.protocol === 'https:' ? proxyFor(url, options.env) : null;
    const through = proxy === null ? null : await secured(await tunnel(proxy, url, silenceMs, signal), url, options.ca);
    return new Promise((resolve, reject) => {
      const { protocol, hostname, port, pathname, search } = url;
      const asked = (protocol === 'https:' ? secure : plain).request(
        {
          protocol,
          hostname: hostname.replace(/^\[|\]$/g, ''),
          port,
          path: `${pathname}${search}`,
          headers: { host: url.host, 'user-agent': 'gpu-run', accept: '*/*', 'accept-encoding': 'identity', ...headers },
          lookup: rules.lookup,
          signal,
          ...(through === null ? { agent: protocol === 'https:' ? agents.https : agents.http } : { createConnection: () => through }),
        },
        resolve,
      );
      asked.setTimeout(silenceMs, () => asked.destroy(new Interruption(`${url.host} has sent nothing for ${Math.round(silenceMs / 1000)} s`)));
      asked.on('error', reject);
      asked.end();
    });
  };

  return {
    async get(first, headers, signal) {
      const loopbackToo = isLoopbackName(first.hostname);
      const rules = addressRules(loopbackToo);
      let url = first;
      let own: Readonly<Record<string, string>> = { ...basicAuth(first), ...headers };
      for (let hops = 0; ; hops += 1) {
        const response = await askOne(url, own, rules, signal).catch((error: unknown) => {
          throw explain(error, url, signal);
        });
        const location = response.headers.location;
        const status = response.statusCode ?? 0;
        if (![301, 302, 303, 307, 308].includes(status) || location === undefined) return answerOf(response, url, signal);
        response.destroy();
        if (hops === mostRedirects) throw fetchError('sync', `${shownUrl(first.href)} leads on and on: more than ${mostRedirects} redirects.`);
        const next = redirected(url, location, rules, loopbackToo);
        if (next.origin !== url.origin) own = Object.fromEntries(Object.entries(own).filter(([name]) => name !== 'authorization'));
        url = next;
      }
    },
    close: () => {
      agents.https.destroy();
      agents.http.destroy();
    },
  };
}

/** User and password of an address. */
function basicAuth({ username, password }: URL): { authorization: string } | Record<string, never> {
  if (username === '' && password === '') return {};
  return { authorization: `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}` };
}

function answerOf(response: IncomingMessage, url: URL, signal: AbortSignal): Answer {
  async function* body(): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of response) yield chunk as Uint8Array;
    } catch (error) {
      throw explain(error, url, signal);
    }
    if (!response.complete) throw new Interruption(`the connection to ${url.host} broke`);
  }
  return { status: response.statusCode ?? 0, headers: response.headers, body: body(), drop: () => response.destroy() };
}

/** Failures of TLS: no later question will be answered otherwise. */
const lastingFailure = /^(ERR_TLS_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_SSL_|ERR_INVALID_|HPE_)/;

function explain(error: unknown, url: URL, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason ?? error;
  if (error instanceof Interruption || error instanceof RunnerError || !(error instanceof Error)) return error;
  if (error instanceof RefusedAddress) return fetchError('sync', `Nothing is fetched from ${shownUrl(url.href)}: ${error.message}.`);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (code === 'ENOTFOUND') return fetchError('sync', `The machine can't find ${url.host}: its name servers don't know it.`);
  if (lastingFailure.test(code)) return fetchError('sync', `The machine can't talk to ${url.host}: ${error.message} (${code}).`);
  return new Interruption(`${url.host}: ${error.message}`);
}
