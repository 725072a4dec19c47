/** What the API says of the project's possibilities, asked once for many machines that start together. */
import type { Clock } from '../../../core/clock.ts';
import type { GceApi } from '../gce-api.ts';
import { GceError } from '../gce-error.ts';
import type { Quota, Region } from '../gce-types.ts';
import type { GceMachine } from './machine-types.ts';
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
const sharedForMs = 15_000;

export function openMarket(api: GceApi, clock: Clock, log: (line: string) => void): Market {
  const asked = new Map<string, { readonly at: number; readonly answer: Promise<unknown> }>();
  /** One call for all that ask within some seconds. It is nobody's own, so that one who leaves takes nothing from the others. */
  const shared = async <T>(key: string, ask: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> => {
    signal?.throwIfAborted();
    const before = asked.get(key);
    const entry = before !== undefined && clock.now() - before.at < sharedForMs ? before : { at: clock.now(), answer: ask() };
    if (entry !== before) {
      asked.set(key, entry);
      entry.answer.catch(() => asked.delete(key));
    }
    return (await orAborted(entry.answer, signal)) as T;
  };
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
    zones: (machine, signal) => shared(`zones ${machine.type} ${machine.gpu?.name} ${machine.gpu?.count}`, () => zonesWith(machine, api, log), signal),
    regions: (signal) => shared('regions', () => allowed('quotas', async () => regionsByName(await api.listRegions()), null), signal),
    projectQuotas: (signal) => shared('project', () => allowed('quotas of the project', async () => (await api.getProject()).quotas, []), signal),
  };
}

function orAborted<T>(answer: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return answer;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
