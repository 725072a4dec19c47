/** All that exists in the emulated project, and the words for it. */
import type { InstanceBody, MetadataItem, Operation, OperationError } from '../../../src/providers/gcp/gce-resources.ts';
import type { Catalogue, MachineTypeRow } from './catalogue.ts';
import type { GpuKind, ImageRow } from './catalogue-data.ts';
import type { EmulatorClock } from './emulator-clock.ts';
import type { Faults, MachineFault } from './faults.ts';
import type { Guest } from './guest.ts';
import type { OsLoginKey } from './os-login.ts';
import type { OutsideMachines } from './outside-guest.ts';
import type { Schema } from './proto-schema.ts';

export interface GuestGpus {
  readonly kind: GpuKind;
  readonly count: number;
}

/** A machine as the people who prepare its disk see it. */
export interface GuestPlace {
  readonly name: string;
  /** Absolute; first on PATH. */
  readonly bin: string;
  readonly home: string;
  readonly gpus: GuestGpus | null;
}

export interface WorldOptions {
  /** Milliseconds from an order to its operation being DONE; default 20. */
  readonly operationMs: number;
  /** Milliseconds from RUNNING to an SSH server that answers; default 0. */
  readonly bootMs: number;
  /** Milliseconds that `wait` waits at most; default 120,000. */
  readonly waitMs: number;
  /** Milliseconds that what runs on a machine has from SIGTERM to SIGKILL when it is ended; default 100. */
  readonly shutdownGraceMs: number;
  /** Milliseconds from the metadata's word of a preemption to the machine's shutdown; default 200. In truth there may be none. */
  readonly preemptionNoticeMs: number;
  /** Items on a page of a list, at most; default 500. */
  readonly pageSize: number;
  /** Limits of quotas: `NVIDIA_L4_GPUS`, or `us-central1/NVIDIA_L4_GPUS`; of the project: `GPUS_ALL_REGIONS`. */
  readonly quotas: Readonly<Record<string, number>>;
  /** Whether advice/capacity answers; else 403 or 404. */
  readonly advice: 'on' | 403 | 404;
  readonly projectMetadata: readonly MetadataItem[];
  /** As an organisation's policy does. */
  readonly forceOsLogin: boolean;
  /** Whether OS Login takes keys of the one who asks; else 403. */
  readonly osLoginGranted: boolean;
  /** Networks that exist. In a custom one an instance must name its subnetwork. */
  readonly networks: Readonly<Record<string, 'auto' | 'custom'>>;
  /** Whether an auto network has `default-allow-ssh` from everywhere. */
  readonly allowSshRule: boolean;
  /** Puts more on a machine's disk before it boots; what it returns joins the environment of all that runs there. */
  readonly prepareGuest: ((place: GuestPlace) => Readonly<Record<string, string>>) | null;
  /** Who makes the machines; null: this process, each a port of 127.0.0.1. */
  readonly outside: OutsideMachines | null;
}

/** What Google would bill a machine's parts for: RUNNING until it was TERMINATED or gone. Milliseconds since the epoch. */
export interface MeteredRun {
  readonly name: string;
  readonly from: number;
  /** null: it runs. */
  to: number | null;
}

export interface InstanceRecord {
  readonly id: string;
  readonly name: string;
  readonly zone: string;
  readonly body: InstanceBody;
  readonly type: MachineTypeRow;
  readonly gpus: GuestGpus | null;
  readonly image: ImageRow;
  readonly spot: boolean;
  readonly trouble: MachineFault;
  readonly createdAt: number;
  readonly mac: string;
  /** Its external IPv4 address. */
  readonly address: string;
  status: string;
  startedAt: number | null;
  /** It was switched off then, and is TERMINATED. */
  stoppedAt: number | null;
  /** Milliseconds since the epoch; null: it may run for ever. */
  terminatesAt: number | null;
  labels: Readonly<Record<string, string>>;
  metadata: readonly MetadataItem[];
  tags: readonly string[];
  preempted: boolean;
  maintenance: string;
  readonly guestAttributes: Map<string, string>;
  console: string;
  guest: Guest | null;
  /** Takes back what is planned for it. */
  readonly plans: Set<() => void>;
  /** Asked by the metadata server's hanging reads. */
  readonly changed: Set<() => void>;
}

export interface DiskRecord {
  readonly id: string;
  readonly name: string;
  readonly zone: string;
  readonly sizeGb: string;
  readonly type: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly autoDelete: boolean;
  /** Of the instance that has it; null: nobody has. */
  user: string | null;
}

export interface OperationRecord {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  /** null: global. */
  readonly zone: string | null;
  /** Below the project: `zones/Z/instances/N`. */
  readonly target: string;
  readonly targetId: string;
  readonly requestId: string | null;
  readonly user: string;
  readonly insertedAt: number;
  status: Operation['status'];
  endedAt: number | null;
  errors: readonly OperationError[] | null;
  httpStatus: number | null;
  readonly done: Promise<void>;
}

export interface World {
  readonly project: string;
  readonly options: WorldOptions;
  /** Absolute; the emulator's own. */
  readonly folder: string;
  /** Unique to this emulator; marks processes. */
  readonly mark: string;
  readonly schema: Schema;
  readonly catalogue: Catalogue;
  readonly clock: EmulatorClock;
  readonly faults: Faults;
  /** Limits that a test has changed. */
  readonly quotas: Map<string, number>;
  /** Path of a CUDA library for machines with GPUs; null: there is none. Made when it is first asked for. */
  cuda(): Promise<string | null>;
  /** By `ZONE/NAME`. */
  readonly instances: Map<string, InstanceRecord>;
  readonly disks: Map<string, DiskRecord>;
  readonly firewalls: Map<string, Readonly<Record<string, unknown>>>;
  /** All that ever ran, in the order of their starts. */
  readonly runs: MeteredRun[];
  readonly operations: OperationRecord[];
  readonly osLoginKeys: OsLoginKey[];
  /** What was made of a request id: by call, place and id. */
  readonly requests: Map<string, OperationRecord>;
}

/** As links in answers begin, whatever address the emulator has. */
export const linkOrigin = 'https://www.googleapis.com';

export function linkBase(world: World): string {
  return `${linkOrigin}/compute/v1/projects/${world.project}`;
}

export function metadataValue(items: readonly MetadataItem[], key: string): string | null {
  return items.find((item) => item.key === key)?.value ?? null;
}

/** Metadata of the instance, else of the project. */
export function effectiveValue(world: World, instance: InstanceRecord, key: string): string | null {
  return metadataValue(instance.metadata, key) ?? metadataValue(world.options.projectMetadata, key);
}

export function isTrue(value: string | null): boolean {
  return value !== null && /^(true|y|yes|1)$/i.test(value);
}

export function usesOsLogin(world: World, instance: InstanceRecord): boolean {
  return world.options.forceOsLogin || isTrue(effectiveValue(world, instance, 'enable-oslogin'));
}

export function takesGuestAttributes(world: World, instance: InstanceRecord): boolean {
  return isTrue(effectiveValue(world, instance, 'enable-guest-attributes'));
}
