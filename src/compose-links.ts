/** Compose, for links: which connections go through one. */
import { parseSwitch } from './config/switch.ts';
import { GpuRunError } from './core/errors.ts';
import type { LinkPlace } from './link/place.ts';
import type { RunnerPackage } from './runner/install.ts';
import { loadConnector } from './transport/connect.ts';
import type { Connector } from './transport/connector.ts';
import { lazyTransport } from './transport/lazy-transport.ts';
import type { ConnectOptions, Transport } from './transport/transport.ts';

/** On or off; where it is not set: on, but not in CI, where nothing may go on behind the command. */
const linkVariable = 'GPU_RUN_LINK';

/** @throws GpuRunError `bad-input` */
export function mayLink(env: Readonly<Record<string, string | undefined>>): boolean {
  const said = env[linkVariable]?.trim() ?? '';
  if (said !== '') {
    try {
      return parseSwitch(said);
    } catch (error) {
      throw new GpuRunError('bad-input', `${linkVariable}: ${(error as Error).message}`, { cause: error, hints: ['Write 0 or 1.'] });
    }
  }
  return ['', '0', 'false'].includes(env['CI'] ?? '');
}

/** Through the machine's link where there is one, else as without. */
export function connectByLink(place: LinkPlace, { version }: RunnerPackage, options: ConnectOptions): Transport {
  let standing: NonNullable<Transport['standingRunner']> = () => null;
  const transport = lazyTransport(async () => {
    const { linkedConnector } = await import('./link/link-connector.ts');
    const connector = linkedConnector({ place, version, direct: () => loadConnector(options) });
    standing = connector.standingRunner;
    return connector;
  });
  return { ...transport, standingRunner: () => standing() };
}

export async function openPastLinks(options: ConnectOptions): Promise<{ readonly connector: Connector; readonly transport: Transport }> {
  const connector = await loadConnector(options);
  return { connector, transport: lazyTransport(async () => connector) };
}
