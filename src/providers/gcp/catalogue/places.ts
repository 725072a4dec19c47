/** Regions and zones: which the user allows, which have a machine type. */
import { GpuRunError } from '../../../core/errors.ts';
import type { GceApi } from '../gce-api.ts';
import type { Listing, Region } from '../gce-resources.ts';
import type { GceMachine } from './machine-type.ts';
import { nearestName } from './nearest-name.ts';

/** `us-central1-a` -> `us-central1`. */
export function regionOfZone(zone: string): string {
  return zone.replace(/-[a-z0-9]+$/, '');
}

/** The last part of a URL, or the name itself. */
export function nameOf(url: string): string {
  return url.slice(url.lastIndexOf('/') + 1);
}

/** Where the user allows a machine. */
export interface Allowed {
  region(region: string): boolean;
  zone(zone: string): boolean;
}

/**
 * `asked`: names of regions or zones; none: everywhere. `known`: every region there is.
 * @throws GpuRunError `bad-input` for a place that there isn't
 */
export function allowedPlaces(asked: readonly string[], known: readonly string[]): Allowed {
  const places = asked.map((place) => place.trim().toLowerCase());
  for (const place of places) {
    if (!known.includes(place) && !(isZoneName(place) && known.includes(regionOfZone(place)))) throw unknownPlace(place, known);
  }
  if (places.length === 0) return { region: () => true, zone: () => true };
  return {
    region: (region) => places.some((place) => place === region || regionOfZone(place) === region),
    zone: (zone) => places.some((place) => place === zone || place === regionOfZone(zone)),
  };
}

/** Named zones alone, without the regions. */
export function zonesNamed(asked: readonly string[]): readonly string[] {
  return asked.map((place) => place.trim().toLowerCase()).filter(isZoneName);
}

/**
 * Zones that have the type and, where they are attached, its GPUs. A zone that does not answer is left out and told to `log`.
 * @throws GceError
 */
export async function zonesWith(machine: GceMachine, api: GceApi, log: (line: string) => void, signal?: AbortSignal): Promise<readonly string[]> {
  const { type, acceleratorType, guestAccelerators, gpu } = machine;
  const [types, accelerators] = await Promise.all([
    api.listMachineTypes(`name=${type}`, signal),
    guestAccelerators && acceleratorType !== null ? api.listAcceleratorTypes(`name=${acceleratorType}`, signal) : null,
  ]);
  for (const zone of [...types.unreachable, ...(accelerators?.unreachable ?? [])]) log(`no answer from ${nameOf(zone)}: left out`);
  const zones = named(types, type);
  if (accelerators === null) return [...zones].sort();
  const enough = accelerators.items.filter(({ maximumCardsPerInstance: most }) => most === undefined || most >= (gpu?.count ?? 1));
  const withGpu = named({ ...accelerators, items: enough }, acceleratorType ?? '');
  return [...zones].filter((zone) => withGpu.has(zone)).sort();
}

function named({ items }: Listing<{ readonly name: string; readonly zone: string }>, name: string): ReadonlySet<string> {
  return new Set(items.filter((item) => item.name === name).map(({ zone }) => nameOf(zone)));
}

/** Regions that are up, by name. */
export function regionsByName(regions: readonly Region[]): ReadonlyMap<string, Region> {
  return new Map(regions.filter(({ status }) => status === undefined || status === 'UP').map((region) => [region.name, region]));
}

function isZoneName(place: string): boolean {
  return /^[a-z]+-[a-z]+\d+-[a-z0-9]+$/.test(place);
}

function unknownPlace(place: string, known: readonly string[]): GpuRunError {
  const near = nearestName(place, known) ?? nearestName(regionOfZone(place), known);
  return new GpuRunError('bad-input', `'${place}' is no region or zone of Compute Engine.`, {
    hints: [
      ...(near === null ? [] : [`Did you mean ${near}?`]),
      'Names look like us-central1 (a region) or us-central1-a (a zone).',
      'gpu-run offers --provider gcp   shows where there are machines',
    ],
  });
}
