/** What an order for an instance must be beyond its schema: names, families, disks, scheduling. Returns what the machine is to be. */
import type { InstanceBody, MetadataItem } from '../../../src/providers/gcp/gce-resources.ts';
import { badRequest, invalidValue, notFound } from './api-error.ts';
import type { MachineTypeRow } from './catalogue.ts';
import { gpuKinds, type ImageRow } from './catalogue-data.ts';
import { checkDisks, type DiskOrder } from './disk-check.ts';
import { zonal } from './resource-url.ts';
import { checkScheduling, type SchedulingOrder } from './scheduling-check.ts';
import type { GuestGpus, World } from './world.ts';

export interface InstanceOrder {
  readonly type: MachineTypeRow;
  readonly gpus: GuestGpus | null;
  readonly image: ImageRow;
  readonly bootDisk: DiskOrder;
  readonly scheduling: SchedulingOrder;
  readonly labels: Readonly<Record<string, string>>;
  readonly metadata: readonly MetadataItem[];
  readonly tags: readonly string[];
}

interface Body extends InstanceBody {
  readonly machineType?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly tags?: { readonly items?: readonly string[] };
  readonly metadata?: { readonly items?: readonly MetadataItem[] };
  readonly guestAccelerators?: readonly { readonly acceleratorType?: string; readonly acceleratorCount?: number }[];
  readonly networkInterfaces?: readonly { readonly network?: string; readonly subnetwork?: string; readonly nicType?: string }[];
  readonly serviceAccounts?: readonly unknown[];
}

export const namePattern = /^[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

export function checkOrder(world: World, zone: string, instance: InstanceBody): InstanceOrder {
  const body = instance as Body;
  if (!namePattern.test(body.name ?? '')) {
    throw invalidValue('resource.name', body.name ?? '', "Must be a match of regex '(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)'");
  }
  const labels = checkLabels(body.labels ?? {});
  const metadata = checkMetadata(body.metadata?.items ?? []);
  const tags = body.tags?.items ?? [];
  for (const tag of tags) if (!namePattern.test(tag)) throw invalidValue('resource.tags.items', tag, 'Must be a match of regex');
  const type = machineTypeOf(world, zone, body.machineType);
  const gpus = gpusOf(world, zone, type, body.guestAccelerators ?? []);
  const scheduling = checkScheduling(world, body['scheduling'], gpus !== null);
  const { image, bootDisk } = checkDisks(world, zone, body.name, type, body['disks']);
  checkNetwork(world, type, body.networkInterfaces ?? []);
  if ((body.serviceAccounts ?? []).length > 1) throw invalidValue('resource.serviceAccounts', body.serviceAccounts, 'At most one service account is allowed.');
  return { type, gpus, image, bootDisk, scheduling, labels, metadata, tags };
}

export function checkLabels(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  for (const [key, value] of Object.entries(labels)) {
    if (!/^[a-z][-_a-z0-9]{0,62}$/.test(key)) throw invalidValue('resource.labels', key, 'Label keys must be lower-case, at most 63 characters.');
    if (!/^[-_a-z0-9]{0,63}$/.test(value)) throw invalidValue('resource.labels', value, 'Label values must be lower-case, at most 63 characters.');
  }
  if (Object.keys(labels).length > 64) throw invalidValue('resource.labels', '', 'At most 64 labels are allowed.');
  return labels;
}

/** 256 KB a value, 512 KB in all. */
export function checkMetadata(items: readonly MetadataItem[]): readonly MetadataItem[] {
  const keys = new Set<string>();
  let total = 0;
  for (const { key, value = '' } of items) {
    if (!/^[a-zA-Z0-9_-]{1,128}$/.test(key ?? '')) throw invalidValue('resource.metadata', key, 'Must be a match of regex [a-zA-Z0-9-_]{1,128}');
    if (keys.has(key)) throw invalidValue('resource.metadata', key, 'Duplicate metadata key.');
    keys.add(key);
    const bytes = Buffer.byteLength(value);
    total += bytes + key.length;
    if (bytes > 256 * 1024) throw invalidValue(`resource.metadata.items[${key}]`, '...', 'Metadata value is longer than 262144 bytes.');
  }
  if (total > 512 * 1024) throw invalidValue('resource.metadata', '...', 'Metadata is longer than 524288 bytes.');
  return items;
}

function machineTypeOf(world: World, zone: string, url = ''): MachineTypeRow {
  const name = zonal(world, zone, 'machineTypes', url);
  if (name === null) throw invalidValue('resource.machineType', url, 'The URL is malformed.');
  const row = world.catalogue.machineTypes(zone).find((type) => type.name === name);
  if (row === undefined) throw invalidValue('resource.machineType', url, 'The referenced resource does not exist.');
  return row;
}

function gpusOf(world: World, zone: string, type: MachineTypeRow, asked: NonNullable<Body['guestAccelerators']>): GuestGpus | null {
  if (type.gpus !== null) {
    if (asked.length > 0) throw badRequest(`[${type.name}, guestAccelerators] features are not compatible for creating instance.`);
    return { kind: gpuKinds[type.gpus.family], count: type.gpus.count };
  }
  const [first, ...more] = asked;
  if (first === undefined) return null;
  const { acceleratorType = '', acceleratorCount: count = 0 } = first;
  const name = zonal(world, zone, 'acceleratorTypes', acceleratorType);
  if (name === null) throw invalidValue('resource.guestAccelerators[0].acceleratorType', acceleratorType, 'The URL is malformed.');
  const row = world.catalogue.accelerators(zone).find((one) => one.name === name);
  if (row === undefined) throw notFound(`projects/${world.project}/zones/${zone}/acceleratorTypes/${name}`);
  const isAttachable = ['t4', 'v100', 'p100', 'p4'].includes(row.family);
  if (!type.name.startsWith('n1-') || !isAttachable || more.length > 0) {
    throw badRequest(`[${type.name}, ${name}] features are not compatible for creating instance.`);
  }
  const kind = gpuKinds[row.family];
  if (![1, 2, 4, 8].includes(count) || count > kind.maximumCards) {
    throw invalidValue(
      'resource.guestAccelerators[0].acceleratorCount',
      count,
      `Number of accelerator cards attached to an instance must be one of [1, 2, 4, 8].`,
    );
  }
  return { kind, count };
}

function checkNetwork(world: World, type: MachineTypeRow, interfaces: NonNullable<Body['networkInterfaces']>): void {
  const [first] = interfaces;
  if (first === undefined) throw badRequest('At least one network interface is required.', 'required');
  const name = (first.network ?? 'global/networks/default').split('/').at(-1) ?? '';
  const mode = world.options.networks[name];
  if (mode === undefined && first.subnetwork === undefined)
    throw invalidValue('resource.networkInterfaces[0].network', first.network, 'The referenced network resource cannot be found.');
  if (mode === 'custom' && first.subnetwork === undefined) {
    throw invalidValue('resource.networkInterfaces[0]', '', 'Subnetwork should be specified for custom subnetmode network');
  }
  if (/^(a3|a4|g4)-/.test(type.name) && first.nicType !== 'GVNIC') throw badRequest(`Machine type ${type.name} requires nicType GVNIC.`);
}
