/** An instance and a disk as the API shows them. */
import { createHash } from 'node:crypto';
import type { MetadataItem } from '../../../src/providers/gcp/gce-resources.ts';
import { timestamp } from './ids.ts';
import {
  type DiskRecord,
  effectiveValue,
  type InstanceRecord,
  isTrue,
  linkBase,
  metadataValue,
  takesGuestAttributes,
  usesOsLogin,
  type World,
} from './world.ts';

type Json = Readonly<Record<string, unknown>>;

/** Changes with every change of what it stands for. */
export function fingerprint(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('base64').slice(0, 11).concat('=');
}

export function instanceJson(world: World, instance: InstanceRecord): Json {
  const { body, zone, name } = instance;
  const base = linkBase(world);
  const self = `${base}/zones/${zone}/instances/${name}`;
  const { disks = [], networkInterfaces = [], scheduling = {} } = body as Record<string, any>;
  return {
    ...body,
    kind: 'compute#instance',
    id: instance.id,
    creationTimestamp: timestamp(instance.createdAt),
    ...(instance.startedAt === null ? {} : { lastStartTimestamp: timestamp(instance.startedAt) }),
    ...(instance.stoppedAt === null ? {} : { lastStopTimestamp: timestamp(instance.stoppedAt) }),
    status: instance.status,
    zone: `${base}/zones/${zone}`,
    selfLink: self,
    machineType: `${base}/zones/${zone}/machineTypes/${instance.type.name}`,
    cpuPlatform: instance.status === 'RUNNING' ? 'Intel Cascade Lake' : 'Unknown CPU Platform',
    labels: instance.labels,
    labelFingerprint: fingerprint(instance.labels),
    tags: { items: instance.tags, fingerprint: fingerprint(instance.tags) },
    metadata: { kind: 'compute#metadata', fingerprint: fingerprint(instance.metadata), items: instance.metadata },
    scheduling: { automaticRestart: true, onHostMaintenance: 'MIGRATE', preemptible: instance.spot, provisioningModel: 'STANDARD', ...scheduling },
    disks: disks.map(({ initializeParams, ...disk }: Record<string, any>, index: number) => ({
      kind: 'compute#attachedDisk',
      type: 'PERSISTENT',
      mode: 'READ_WRITE',
      index,
      ...disk,
      diskSizeGb: String(initializeParams?.diskSizeGb ?? instance.image.diskSizeGb),
      ...(disk.type === 'SCRATCH' ? {} : { source: `${base}/zones/${zone}/disks/${initializeParams?.diskName ?? name}` }),
    })),
    networkInterfaces: networkInterfaces.map((nic: Record<string, any>, index: number) => ({
      kind: 'compute#networkInterface',
      ...nic,
      name: `nic${index}`,
      network: `${base}/${nic['network'] ?? 'global/networks/default'}`,
      networkIP: '10.128.0.2',
      ...(nic['accessConfigs'] === undefined
        ? {}
        : {
            accessConfigs: nic['accessConfigs'].map((access: Json) => ({
              kind: 'compute#accessConfig',
              ...access,
              ...(instance.startedAt === null ? {} : { natIP: instance.address }),
            })),
          }),
    })),
    resourceStatus: {
      scheduling: instance.terminatesAt === null ? {} : { terminationTimestamp: timestamp(instance.terminatesAt) },
      effectiveInstanceMetadata: {
        enableOsloginMetadataValue: usesOsLogin(world, instance),
        enableGuestAttributesMetadataValue: takesGuestAttributes(world, instance),
        blockProjectSshKeysMetadataValue: isTrue(effectiveValue(world, instance, 'block-project-ssh-keys')),
      },
    },
  };
}

export function diskJson(world: World, disk: DiskRecord): Json {
  const base = linkBase(world);
  return {
    kind: 'compute#disk',
    id: disk.id,
    name: disk.name,
    zone: `${base}/zones/${disk.zone}`,
    selfLink: `${base}/zones/${disk.zone}/disks/${disk.name}`,
    sizeGb: disk.sizeGb,
    type: `${base}/zones/${disk.zone}/diskTypes/${disk.type}`,
    status: 'READY',
    labels: disk.labels,
    ...(disk.user === null ? {} : { users: [`${base}/zones/${disk.zone}/instances/${disk.user}`] }),
  };
}

/** The keys that the guest agent takes from metadata, where OS Login is off. */
export function sshKeyLines(world: World, instance: InstanceRecord): readonly string[] {
  const lines = (items: readonly MetadataItem[]) => (metadataValue(items, 'ssh-keys') ?? '').split('\n').filter((line) => line.trim() !== '');
  const ofProject = isTrue(metadataValue(instance.metadata, 'block-project-ssh-keys')) ? [] : lines(world.options.projectMetadata);
  return [...lines(instance.metadata), ...ofProject];
}
