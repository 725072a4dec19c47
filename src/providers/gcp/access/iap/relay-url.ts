/** Where the relay is asked for a tunnel. Source: gcloud 528. Pure. */
import { GpuRunError } from '../../../../core/errors.ts';
import type { TunnelPlace } from './relay-error.ts';

/** `relay`: as in `wss://tunnel.cloudproxy.app/v4/`. */
export const googlesRelay = 'wss://tunnel.cloudproxy.app/v4/';

/** @throws GpuRunError `bad-input` for a relay to which a token must not go */
export function connectUrl(relay: string, place: TunnelPlace): URL {
  const { project, port, zone, instance } = place;
  return relayUrl(relay, 'connect', { project, port: String(port), newWebsocket: 'True', zone, instance, interface: place.interface });
}

/** `received`: bytes that we have, in all; the relay sends what comes after. @throws as `connectUrl` */
export function reconnectUrl(relay: string, zone: string, sid: string, received: bigint): URL {
  return relayUrl(relay, 'reconnect', { sid, ack: String(received), newWebsocket: 'True', zone });
}

function relayUrl(relay: string, path: string, query: Readonly<Record<string, string>>): URL {
  const base = relay.endsWith('/') ? relay : `${relay}/`;
  if (!URL.canParse(base)) throw new GpuRunError('bad-input', `'${relay}' is not the address of a relay.`);
  const url = new URL(path, base);
  const loopback = ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
  if (url.protocol !== 'wss:' && !(url.protocol === 'ws:' && loopback)) {
    throw new GpuRunError('bad-input', `The relay '${relay}' is not encrypted: only wss: will do, or ws: on this computer.`);
  }
  url.search = new URLSearchParams(query).toString();
  return url;
}
