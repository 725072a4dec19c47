/** Connections to Google: kept open between calls, and through the proxy that the environment names. */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { GpuRunError } from '../../../core/errors.ts';
import type { Environment } from './credentials-file.ts';

/** Never through a proxy: emulators and token endpoints of tests on this computer. */
const here = ['localhost', '127.0.0.1', '::1', '[::1]'];

/**
 * For each address the agent that makes its connections. Honours HTTPS_PROXY, HTTP_PROXY and NO_PROXY in either case; needs Node 24.5
 * for a proxy. @throws GpuRunError `bad-input`: the proxy's address is none
 */
export function createAgents(env: Environment): (url: URL) => HttpAgent {
  const of = (name: string): string | undefined => env[name] || env[name.toLowerCase()] || undefined;
  const noProxy = [of('NO_PROXY'), ...here].filter((part) => part !== undefined).join(',');
  const proxyEnv = { HTTPS_PROXY: of('HTTPS_PROXY'), HTTP_PROXY: of('HTTP_PROXY'), NO_PROXY: noProxy };
  for (const name of ['HTTPS_PROXY', 'HTTP_PROXY'] as const) checkProxy(name, proxyEnv[name]);
  const options = { keepAlive: true, proxyEnv };
  const http = new HttpAgent(options);
  const https = new HttpsAgent(options);
  return ({ protocol }) => (protocol === 'http:' ? http : https);
}

/** Without its value: it may hold a password. */
function checkProxy(name: string, value: string | undefined): void {
  if (value === undefined) return;
  const url = URL.canParse(value) ? new URL(value) : null;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return;
  throw new GpuRunError('bad-input', `${name} is not the http or https address of a proxy.`, { hints: [`For example: ${name}=http://proxy.example:3128`] });
}
