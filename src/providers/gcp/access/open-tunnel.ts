/** The provider's `tunnel`: from what the ledger keeps of a machine to a stream to its SSH port. May import core and this provider's seam. */
import type { Agent } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../../core/clock.ts';
import { GpuRunError } from '../../../core/errors.ts';
import type { GceApi } from '../gce-api.ts';

export interface TunnelParts {
  readonly clock: Clock;
  /** Makes the connections, through the caller's proxy. Default: straight to the relay. */
  readonly agent?: (url: URL) => Agent;
  /** Default: Google's. Plain `ws:` on loopback alone. */
  readonly relayUrl?: string;
}

/**
 * @param to `tunnel` of the machine's access: project (null: the account's own), zone, instance, port, interface
 * @throws GpuRunError `not-allowed`, `connection`; GceError where no token is to be had
 */
export async function openTunnel(
  api: GceApi,
  to: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
  { clock, agent, relayUrl }: TunnelParts,
): Promise<Duplex> {
  const text = (key: string, otherwise: string | null = null): string => {
    const value = to[key] ?? otherwise;
    if (typeof value === 'string' && /^[a-z0-9][-a-z0-9.:]*$/.test(value)) return value;
    throw new GpuRunError('internal', `the ledger's way to a machine says nothing of use about its ${key}`);
  };
  const port = to['port'] ?? 22;
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new GpuRunError('internal', "the ledger's way to a machine names no port");
  }
  const { openIapTunnel } = await import('./iap/open-tunnel.ts');
  const place = { project: text('project', api.project), zone: text('zone'), instance: text('instance'), interface: text('interface', 'nic0'), port };
  const token = (limit: AbortSignal) => api.accessToken(limit);
  return await openIapTunnel({ ...place, token, clock, ...(agent === undefined ? {} : { agent }), ...(relayUrl === undefined ? {} : { relayUrl }) }, signal);
}
