/**
 * What this provider asks of Compute Engine: one method a call, in plain types, so that all else here knows neither the client
 * library nor HTTP. Interface only. Every method throws `GceError`, or the signal's reason when it is aborted, and ends within its
 * own time limit.
 */
import type {
  AcceleratorType,
  Disk,
  EffectiveFirewalls,
  Firewall,
  Image,
  Instance,
  InstanceBody,
  Listing,
  MachineType,
  MetadataItem,
  Operation,
  Project,
  Region,
} from './gce-resources.ts';

export interface GceApi {
  /** The project's id. */
  readonly project: string;
  /** E-mail address of whom the credentials are of; null: they do not say. */
  readonly account: string | null;

  /** Accepted, not done: stock-outs and quota come with the finished operation. The same `requestId` again is the same order. */
  insertInstance(zone: string, body: InstanceBody, requestId: string, signal?: AbortSignal): Promise<Operation>;
  /** null: there is none. */
  getInstance(zone: string, name: string, signal?: AbortSignal): Promise<Instance | null>;
  /** null: there is none. */
  deleteInstance(zone: string, name: string, requestId: string, signal?: AbortSignal): Promise<Operation | null>;
  /** All zones, all pages. `filter` as the API takes it: `labels.gpu-run-owner=ann`. */
  listInstances(filter: string, signal?: AbortSignal): Promise<Listing<Instance>>;
  setMetadata(zone: string, name: string, items: readonly MetadataItem[], fingerprint: string, signal?: AbortSignal): Promise<Operation>;
  /** `path`: `hostkeys/`. Empty: nothing was published, or nothing may be. */
  guestAttributes(zone: string, name: string, path: string, signal?: AbortSignal): Promise<ReadonlyMap<string, string>>;
  /** The first serial port's last output. */
  serialOutput(zone: string, name: string, signal?: AbortSignal): Promise<string>;
  /** For the instance's first network interface. */
  effectiveFirewalls(zone: string, name: string, signal?: AbortSignal): Promise<EffectiveFirewalls>;

  listDisks(filter: string, signal?: AbortSignal): Promise<Listing<Disk>>;
  deleteDisk(zone: string, name: string, requestId: string, signal?: AbortSignal): Promise<Operation | null>;

  /** Until it is done, whatever its result; `signal` bounds it. Zonal and global operations. */
  waitOperation(operation: Operation, signal?: AbortSignal): Promise<Operation>;
  /** Newest first, of one zone. `filter` as the API takes it: `operationType="compute.instances.preempted"`. */
  listOperations(zone: string, filter: string, signal?: AbortSignal): Promise<readonly Operation[]>;

  /** null: no such family, or none that may be read. */
  imageFromFamily(project: string, family: string, signal?: AbortSignal): Promise<Image | null>;
  getProject(signal?: AbortSignal): Promise<Project>;
  listRegions(signal?: AbortSignal): Promise<readonly Region[]>;
  /** All zones. */
  listMachineTypes(filter: string, signal?: AbortSignal): Promise<Listing<MachineType>>;
  listAcceleratorTypes(filter: string, signal?: AbortSignal): Promise<Listing<AcceleratorType>>;

  /** Names have no labels: `name=gpu-run-ssh-*`. */
  listFirewalls(filter: string, signal?: AbortSignal): Promise<readonly Firewall[]>;
  getFirewall(name: string, signal?: AbortSignal): Promise<Firewall | null>;
  insertFirewall(body: Firewall, requestId: string, signal?: AbortSignal): Promise<Operation>;
  patchFirewall(name: string, body: Partial<Firewall>, requestId: string, signal?: AbortSignal): Promise<Operation>;
  deleteFirewall(name: string, requestId: string, signal?: AbortSignal): Promise<Operation | null>;

  /** `advice.capacity` of a region. null: the API does not give it to us. */
  capacityAdvice(region: string, body: Readonly<Record<string, unknown>>, signal?: AbortSignal): Promise<Readonly<Record<string, unknown>> | null>;

  /** A bearer token for Google's other endpoints (the IAP relay, Cloud Billing). Never logged, never kept. */
  accessToken(signal?: AbortSignal): Promise<string>;
}
