/** Proxies, as the machine's environment names them: `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`. May import `node:`. */
import { isIP, type Socket } from 'node:net';
import { isLoopbackName } from '../src/protocol/fetch.ts';
import { fetchError, Interruption } from './fetch-error.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** null: no proxy for this address. */
export function proxyFor(url: URL, env: Env): URL | null {
  const named = (name: string) => env[name.toLowerCase()] || env[name.toUpperCase()] || undefined;
  const proxy = named('https_proxy') ?? named('all_proxy');
  if (proxy === undefined || isLoopbackName(url.hostname) || isExcepted(url, named('no_proxy') ?? '')) return null;
  const text = /^[a-z]+:\/\//i.test(proxy) ? proxy : `http://${proxy}`;
  if (!URL.canParse(text) || new URL(text).protocol !== 'http:')
    throw fetchError('sync', 'HTTPS_PROXY on the machine is no http:// address: data can be fetched through such proxies only.');
  return new URL(text);
}

/** As curl reads it: names with what lies below them, `*`; ports are taken into account. */
function isExcepted({ hostname, port }: URL, list: string): boolean {
  return list
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      if (entry === '*') return true;
      const [, name = '', only] = /^(.*?)(?::(\d+))?$/.exec(entry) ?? [];
      if (only !== undefined && only !== (port === '' ? '443' : port)) return false;
      const domain = name.replace(/^\*?\./, '').toLowerCase();
      return hostname === domain || hostname.endsWith(`.${domain}`);
    });
}

/** A way through the proxy to the address' server. @throws Interruption, or RunnerError `not-allowed` when the proxy refuses */
export async function tunnel(proxy: URL, to: URL, silenceMs: number, signal: AbortSignal): Promise<Socket> {
  const target = `${to.hostname}:${to.port === '' ? 443 : to.port}`;
  const { username, password } = proxy;
  const pass = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const { request } = await import('node:http');
  return await new Promise((resolve, reject) => {
    const asked = request({
      method: 'CONNECT',
      hostname: proxy.hostname.replace(/^\[|\]$/g, ''),
      port: proxy.port === '' ? 80 : proxy.port,
      path: target,
      headers: { host: target, ...(username === '' ? {} : { 'proxy-authorization': `Basic ${Buffer.from(pass).toString('base64')}` }) },
      agent: false,
      signal,
    });
    asked.setTimeout(silenceMs, () => asked.destroy(new Interruption('the proxy does not answer')));
    asked.on('connect', (answer, socket) => {
      if (answer.statusCode === 200) return resolve(socket);
      socket.destroy();
      const status = answer.statusCode ?? 0;
      reject(
        status >= 500
          ? new Interruption(`the proxy answers with HTTP ${status}`)
          : fetchError('not-allowed', `The machine's proxy refuses ${to.host}: HTTP ${status}.`),
      );
    });
    asked.on('response', (answer) => {
      answer.destroy();
      reject(new Interruption(`the proxy answers with HTTP ${answer.statusCode}`));
    });
    asked.on('error', reject);
    asked.end();
  });
}

/** TLS over a way that is there already. */
export async function secured(socket: Socket, to: URL, ca: string | undefined): Promise<Socket> {
  const { connect } = await import('node:tls');
  const host = to.hostname.replace(/^\[|\]$/g, '');
  return connect({ socket, host, ...(isIP(host) === 0 ? { servername: host } : {}), ...(ca === undefined ? {} : { ca }) });
}
