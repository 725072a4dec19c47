/** Chooses the SSH implementation for a machine. Each is loaded only when a connection is made by it. May import core and this folder. */
import type { Connector } from './connector.ts';
import { lazyTransport } from './lazy-transport.ts';
import type { ConnectOptions, Transport } from './transport.ts';

export function connectTransport(options: ConnectOptions): Transport {
  return lazyTransport(() => loadConnector(options));
}

export async function loadConnector(options: ConnectOptions): Promise<Connector> {
  if (options.access.kind === 'own') return (await import('./ssh2.ts')).createSsh2Connector(options);
  return (await import('./openssh.ts')).createOpensshConnector(options);
}
