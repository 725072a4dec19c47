/** Zones, machine types, accelerator types and images in the API's own form, made from the table. */
import { type FamilyName, gpuKinds, gpuZones, type ImageRow, imageRows, machineTypeTable, regionZones } from './catalogue-data.ts';
import { numericId } from './ids.ts';

export interface MachineTypeRow {
  readonly name: string;
  readonly zone: string;
  readonly guestCpus: number;
  readonly memoryMb: number;
  /** The GPUs that come with it; null: none. */
  readonly gpus: { readonly family: FamilyName; readonly count: number } | null;
}

export interface AcceleratorRow {
  readonly name: string;
  readonly zone: string;
  readonly family: FamilyName;
}

export interface Catalogue {
  readonly regions: readonly string[];
  readonly zones: readonly string[];
  zonesOf(region: string): readonly string[];
  machineTypes(zone: string): readonly MachineTypeRow[];
  accelerators(zone: string): readonly AcceleratorRow[];
  image(project: string, name: string): ImageRow | null;
  imageOfFamily(project: string, family: string): ImageRow | null;
}

export function regionOf(zone: string): string {
  return zone.slice(0, zone.lastIndexOf('-'));
}

export function makeCatalogue(): Catalogue {
  const regions = Object.keys(regionZones);
  const zonesOf = (region: string) => [...(regionZones[region] ?? '')].map((letter) => `${region}-${letter}`);
  const zones = regions.flatMap(zonesOf);
  const having = Object.fromEntries(Object.entries(gpuZones).map(([family, text]) => [family, new Set(expand(text))])) as Record<FamilyName, Set<string>>;
  const typesIn = new Map(zones.map((zone) => [zone, typesOf(zone, having)]));
  const acceleratorsIn = new Map(zones.map((zone) => [zone, acceleratorsOf(zone, having)]));
  return {
    regions,
    zones,
    zonesOf,
    machineTypes: (zone) => typesIn.get(zone) ?? [],
    accelerators: (zone) => acceleratorsIn.get(zone) ?? [],
    image: (project, name) => imageRows.find((row) => row.project === project && row.name === name) ?? null,
    imageOfFamily: (project, family) => imageRows.find((row) => row.project === project && row.family === family) ?? null,
  };
}

function expand(text: string): readonly string[] {
  return text.split(' ').flatMap((part) => {
    const [region = '', letters = ''] = part.split(':');
    return [...letters].map((letter) => `${region}-${letter}`);
  });
}

function typesOf(zone: string, having: Readonly<Record<FamilyName, ReadonlySet<string>>>): readonly MachineTypeRow[] {
  return machineTypeTable.flatMap(([family, text]) => {
    if (family !== '*' && !having[family].has(zone)) return [];
    return text.split(' ').map((part) => {
      const [name = '', cpus, gibibytes, gpus] = part.split(':');
      const held = family === '*' || gpus === undefined ? null : { family, count: Number(gpus) };
      return { name, zone, guestCpus: Number(cpus), memoryMb: Number(gibibytes) * 1024, gpus: held };
    });
  });
}

function acceleratorsOf(zone: string, having: Readonly<Record<FamilyName, ReadonlySet<string>>>): readonly AcceleratorRow[] {
  return Object.entries(gpuKinds).flatMap(([family, { accelerator }]) =>
    having[family as FamilyName].has(zone) ? [{ name: accelerator, zone, family: family as FamilyName }] : [],
  );
}

export function machineTypeJson(row: MachineTypeRow, base: string): Readonly<Record<string, unknown>> {
  const accelerators =
    row.gpus === null ? {} : { accelerators: [{ guestAcceleratorType: gpuKinds[row.gpus.family].accelerator, guestAcceleratorCount: row.gpus.count }] };
  return {
    kind: 'compute#machineType',
    id: numericId(`type ${row.zone} ${row.name}`),
    creationTimestamp: '1969-12-31T16:00:00.000-08:00',
    name: row.name,
    description: `${row.guestCpus} vCPUs, ${row.memoryMb / 1024} GB RAM`,
    guestCpus: row.guestCpus,
    memoryMb: row.memoryMb,
    maximumPersistentDisks: 128,
    maximumPersistentDisksSizeGb: '263168',
    zone: row.zone,
    isSharedCpu: row.name === 'e2-medium',
    architecture: 'X86_64',
    selfLink: `${base}/zones/${row.zone}/machineTypes/${row.name}`,
    ...accelerators,
  };
}

export function acceleratorJson(row: AcceleratorRow, base: string): Readonly<Record<string, unknown>> {
  return {
    kind: 'compute#acceleratorType',
    id: numericId(`accelerator ${row.zone} ${row.name}`),
    creationTimestamp: '1969-12-31T16:00:00.000-08:00',
    name: row.name,
    description: gpuKinds[row.family].description,
    zone: `${base}/zones/${row.zone}`,
    maximumCardsPerInstance: gpuKinds[row.family].maximumCards,
    selfLink: `${base}/zones/${row.zone}/acceleratorTypes/${row.name}`,
  };
}

export function imageJson(row: ImageRow, origin: string): Readonly<Record<string, unknown>> {
  return {
    kind: 'compute#image',
    id: numericId(`image ${row.project} ${row.name}`),
    creationTimestamp: '2026-08-18T00:00:00.000-07:00',
    name: row.name,
    family: row.family,
    sourceType: 'RAW',
    status: 'READY',
    archiveSizeBytes: '21474836480',
    diskSizeGb: String(row.diskSizeGb),
    architecture: row.architecture ?? 'X86_64',
    guestOsFeatures: [{ type: 'GVNIC' }, { type: 'UEFI_COMPATIBLE' }],
    selfLink: `${origin}/compute/v1/projects/${row.project}/global/images/${row.name}`,
  };
}
