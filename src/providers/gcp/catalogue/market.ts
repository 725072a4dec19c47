/** What the API says of the project's possibilities, asked once for many machines that start together. */
import type { GceApi } from '../gce-api.ts';
import { GceError } from '../gce-error.ts';
import type { Quota, Region } from '../gce-resources.ts';
import type { SharedCalls } from './ask-once.ts';
import type { GceMachine } from './machine-type.ts';
import { regionsByName, zonesWith } from './places.ts';

export interface Market {
  /** Zones that have the machine's type. @throws GceError, the signal's reason */
  zones(machine: GceMachine, signal?: AbortSignal): Promise<readonly string[]>;
  /** Those that are up, by name; null: the credentials may not ask. @throws GceError, the signal's reason */
  regions(signal?: AbortSignal): Promise<ReadonlyMap<string, Region> | null>;
  /** Of the whole project; empty: the credentials may not ask. @throws GceError, the signal's reason */
  projectQuotas(signal?: AbortSignal): Promise<readonly Quota[]>;
}

/** Usage changes as machines come and go; a failed order says so as well. */
const goodForMs = 15_000;

export function openMarket(api: GceApi, shared: SharedCalls, log: (line: string) => void): Market {
  const allowed = async <T>(what: string, ask: () => Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof GceError) || error.status !== 403) throw error;
      log(`${what} can't be asked for (${error.message}): taken as not known`);
      return otherwise;
    }
  };
  return {
    zones: (machine, signal) => {
      const { type, gpu } = machine;
      return shared(`zones ${type} ${gpu?.name} ${gpu?.count}`, goodForMs, (until) => zonesWith(machine, api, log, until), signal);
    },
    regions: (signal) => shared('regions', goodForMs, (until) => allowed('quotas', async () => regionsByName(await api.listRegions(until)), null), signal),
    projectQuotas: (signal) =>
      shared('project', goodForMs, (until) => allowed('quotas of the project', async () => (await api.getProject(until)).quotas, []), signal),
  };
}
