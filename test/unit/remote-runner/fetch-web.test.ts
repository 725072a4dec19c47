import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { addressRules } from '../../../remote-runner/fetch-address.ts';
import { proxyFor } from '../../../remote-runner/fetch-proxy.ts';
import { openWeb, type Web, type WebOptions } from '../../../remote-runner/fetch-web.ts';
import { loopbackCertificate } from '../../fixtures/loopback-tls.ts';
import { startFileServer } from '../../support/file-server.ts';

let web: Web | null = null;
afterEach(() => web?.close());

async function get(url: string, options: Partial<WebOptions> = {}): Promise<string> {
  web = await openWeb({ env: {}, ...options });
  const { body } = await web.get(new URL(url), {}, new AbortController().signal);
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** Answers CONNECT: whatever is asked for, it is at `port` of loopback. */
async function startProxy(port: number, status = 200) {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer();
  server.on('connect', (request, socket: Socket) => {
    asked.push(`${request.url} ${request.headers['proxy-authorization'] ?? ''}`);
    sockets.add(socket);
    if (status !== 200) return void socket.end(`HTTP/1.1 ${status} No\r\n\r\n`);
    const onward = connect(port, '127.0.0.1', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
    sockets.add(onward);
    socket.on('error', () => onward.destroy());
    onward.on('error', () => socket.destroy());
    onward.pipe(socket).pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe('https', () => {
  it('is taken from who can prove to be the one', async () => {
    await using server = await startFileServer({ secure: true });
    server.files.set('/a', { bytes: Buffer.from('meow'), etag: null });
    expect(await get(`${server.url}/a`, { ca: loopbackCertificate })).toBe('meow');
    await expect(get(`${server.url}/a`)).rejects.toMatchObject({ code: 'sync', message: expect.stringContaining('certificate') });
    expect(server.asked).toHaveLength(1);
  });

  it('goes through a proxy, with its password, and is as secure there', async () => {
    await using server = await startFileServer({ secure: true });
    server.files.set('/a', { bytes: Buffer.from('meow'), etag: null });
    await using proxy = await startProxy(Number(new URL(server.url).port));
    const env = { HTTPS_PROXY: `http://ada:pass@${proxy.address}` };
    expect(await get('https://data.example.org/a', { env, ca: loopbackCertificate })).toBe('meow');
    expect(proxy.asked).toEqual([`data.example.org:443 Basic ${Buffer.from('ada:pass').toString('base64')}`]);
    await expect(get('https://other.example.org/a', { env, ca: loopbackCertificate })).rejects.toMatchObject({ code: 'sync' });
    expect(server.asked).toHaveLength(1);
  });

  it('says when the proxy refuses', async () => {
    await using proxy = await startProxy(1, 407);
    await expect(get('https://data.example.org/a', { env: { https_proxy: proxy.address } })).rejects.toMatchObject({
      code: 'not-allowed',
      message: "The machine's proxy refuses data.example.org: HTTP 407.",
    });
  });
});

it('a server that falls silent is a connection that broke', async () => {
  await using server = await startFileServer();
  server.misbehave = () => true;
  await expect(get(`${server.url}/a`, { silenceMs: 50 })).rejects.toMatchObject({ name: 'Interruption', message: expect.stringContaining('has sent nothing') });
});

describe('proxies of the environment', () => {
  it.each([
    ['https://a.org/', {}, null],
    ['https://a.org/', { HTTPS_PROXY: 'p:8080' }, 'http://p:8080/'],
    ['https://a.org/', { https_proxy: 'http://low', HTTPS_PROXY: 'http://high' }, 'http://low/'],
    ['https://a.org/', { ALL_PROXY: 'http://all:1' }, 'http://all:1/'],
    ['https://a.org/', { HTTPS_PROXY: 'p:1', NO_PROXY: '*' }, null],
    ['https://sub.a.org/', { HTTPS_PROXY: 'p:1', NO_PROXY: 'b.org, .a.org' }, null],
    ['https://a.org/', { HTTPS_PROXY: 'p:1', no_proxy: 'a.org:8443' }, 'http://p:1/'],
    ['https://a.org:8443/', { HTTPS_PROXY: 'p:1', no_proxy: 'a.org:8443' }, null],
    ['https://nota.org/', { HTTPS_PROXY: 'p:1', NO_PROXY: 'a.org' }, 'http://p:1/'],
    ['https://localhost/', { HTTPS_PROXY: 'p:1' }, null],
  ])('%s with %j: %s', (url, env, proxy) => expect(proxyFor(new URL(url), env)?.href ?? null).toBe(proxy));
});

describe('names that lead to addresses', () => {
  const resolve = (name: string, loopbackToo: boolean) =>
    new Promise((done) => addressRules(loopbackToo).lookup(name, {}, (error, address) => done(error === null ? address : error.message)));

  it('lead to loopback only where the user says so', async () => {
    expect(await resolve('localhost', true)).toMatch(/^(127\.0\.0\.1|::1)$/);
    expect(await resolve('localhost', false)).toContain('the machine itself');
  });

  it.each(['169.254.169.254', 'fe80::1', 'fd00:ec2::254', '::ffff:169.254.1.1', '0.0.0.0', '168.63.129.16'])('never lead to %s', (ip) =>
    expect(addressRules(true).refusal(ip)).toContain(ip),
  );

  it.each(['10.1.2.3', '192.168.1.1', '8.8.8.8', '2001:db8::1', 'fd12::1'])('may lead to %s', (ip) => expect(addressRules(false).refusal(ip)).toBeNull());
});
