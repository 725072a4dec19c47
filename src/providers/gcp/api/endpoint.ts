/** Where Google's APIs are: at Google, or all of them at the one address that `GPU_RUN_GCP_ENDPOINT` names. */
import { GpuRunError } from '../../../core/errors.ts';

export const endpointVariable = 'GPU_RUN_GCP_ENDPOINT';

export type GoogleApi = 'compute' | 'cloudbilling' | 'oslogin' | 'iap-relay';

const atGoogle: Readonly<Record<GoogleApi, string>> = {
  compute: 'https://compute.googleapis.com',
  cloudbilling: 'https://cloudbilling.googleapis.com',
  oslogin: 'https://oslogin.googleapis.com',
  'iap-relay': 'wss://tunnel.cloudproxy.app',
};

/**
 * Origin of an API, without a path: `http(s)://HOST[:PORT]`, for the relay `ws(s)://HOST[:PORT]`.
 * `endpoint`: the value of `GPU_RUN_GCP_ENDPOINT`; undefined or empty: Google's own.
 * @throws GpuRunError `bad-input`: not an address, or one where a token would cross a network in the clear
 */
export function originOf(api: GoogleApi, endpoint: string | undefined): string {
  if (endpoint === undefined || endpoint === '') return atGoogle[api];
  const { protocol, host } = checkedEndpoint(endpoint);
  if (api !== 'iap-relay') return `${protocol}//${host}`;
  return `${protocol === 'https:' ? 'wss:' : 'ws:'}//${host}`;
}

/** Plain http keeps within this computer: `127.0.0.0/8`, `::1`, `localhost`. `host` as a `URL` has it: lower case, IPv6 in brackets. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

function checkedEndpoint(endpoint: string): URL {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : null;
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) throw refused('is not an http or https address');
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '' || url.pathname !== '/')
    throw refused('may hold a scheme, a host and a port, nothing else');
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) throw refused(`is plain http to ${url.hostname}: access tokens would cross the network readably`);
  return url;
}

/** The value itself is left out: it may hold a password. */
function refused(why: string): GpuRunError {
  return new GpuRunError('bad-input', `${endpointVariable} ${why}.`, {
    hints: [`Unset ${endpointVariable} to use Google's own address.`, 'An emulator on this computer: http://127.0.0.1:PORT; anything else needs https.'],
  });
}
