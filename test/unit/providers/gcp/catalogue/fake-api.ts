/** A `GceApi` that answers from memory and counts who asked what. What the catalogue never asks is not there. */
import type { GceApi } from '../../../../../src/providers/gcp/gce-api.ts';
import { GceError } from '../../../../../src/providers/gcp/gce-error.ts';
import type { Quota, Region } from '../../../../../src/providers/gcp/gce-resources.ts';

export interface FakeApiParts {
  /** Zones by machine type. Default: none. */
  readonly types?: Readonly<Record<string, readonly string[]>>;
  /** Zones by accelerator type, with the most cards. */
  readonly accelerators?: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** By region; regions come from the zones as well. */
  readonly quotas?: Readonly<Record<string, readonly Quota[]>>;
  readonly projectQuotas?: readonly Quota[];
  readonly unreachable?: readonly string[];
  readonly downRegions?: readonly string[];
  readonly advice?: Readonly<Record<string, Readonly<Record<string, unknown>> | null | 'never'>>;
  /** Calls that fail, by method. */
  readonly fail?: Readonly<Record<string, Error>>;
}

export interface FakeApi extends GceApi {
  readonly calls: readonly string[];
  readonly adviceBodies: readonly Readonly<Record<string, unknown>>[];
}

export function fakeApi(parts: FakeApiParts = {}): FakeApi {
  const calls: string[] = [];
  const adviceBodies: Readonly<Record<string, unknown>>[] = [];
  const called = async (method: string) => {
    calls.push(method);
    const failure = parts.fail?.[method];
    if (failure !== undefined) throw failure;
  };
  const zones = [...Object.values(parts.types ?? {}).flat()];
  const names = new Set([...zones.map((zone) => zone.slice(0, -2)), ...Object.keys(parts.quotas ?? {}), ...(parts.downRegions ?? [])]);
  const regions = [...names].map(
    (name): Region => ({
      name,
      status: parts.downRegions?.includes(name) ? 'DOWN' : 'UP',
      quotas: parts.quotas?.[name] ?? [],
      zones: zones.filter((zone) => zone.startsWith(name)).map((zone) => `https://www.googleapis.com/compute/v1/projects/p1/zones/${zone}`),
    }),
  );
  const api: Partial<GceApi> = {
    project: 'p1',
    async listMachineTypes(filter) {
      await called('listMachineTypes');
      const name = /^name=([a-z0-9-]+)$/.exec(filter)?.[1] ?? '';
      const items = (parts.types?.[name] ?? []).map((zone) => ({ name, zone, guestCpus: 4, memoryMb: 16_384 }));
      return { items, unreachable: parts.unreachable ?? [] };
    },
    async listAcceleratorTypes(filter) {
      await called('listAcceleratorTypes');
      const name = /^name=([a-z0-9-]+)$/.exec(filter)?.[1] ?? '';
      const items = Object.entries(parts.accelerators?.[name] ?? {}).map(([zone, maximumCardsPerInstance]) => ({ name, zone, maximumCardsPerInstance }));
      return { items, unreachable: [] };
    },
    async listRegions() {
      await called('listRegions');
      return regions;
    },
    async getProject() {
      await called('getProject');
      return { name: 'p1', quotas: parts.projectQuotas ?? [] };
    },
    async capacityAdvice(region, body, signal) {
      adviceBodies.push(body);
      await called('capacityAdvice');
      const answer = parts.advice?.[region] ?? null;
      if (answer !== 'never') return answer;
      return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason), { once: true }));
    },
    async accessToken() {
      await called('accessToken');
      return 'token-1';
    },
  };
  return Object.assign(api as GceApi, { calls, adviceBodies });
}

export function refused(call: string): GceError {
  return new GceError('Required permission is missing', { status: 403, reasons: ['forbidden'], details: [], call });
}
