/**
 * A Compute Engine on loopback: the part of its API v1 that we use, as strict as the client's own protos, with instances that are real
 * machines (an SSH server, a home folder and processes each). Also Cloud Billing's price list and Google's token endpoints. For tests,
 * and for trying the CLI by hand (`main.ts`).
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { adviceCalls } from './advice-calls.ts';
import { makeApiServer, type RecordedCall } from './api-server.ts';
import { makeCatalogue } from './catalogue.ts';
import { makeEmulatorClock } from './emulator-clock.ts';
import { type FaultSwitches, makeFaultSwitches } from './fault-switches.ts';
import { makeFaults } from './faults.ts';
import { compileCuda } from './guest-cuda.ts';
import { answerUpgrades } from './iap-upgrades.ts';
import { instanceCalls } from './machine-calls.ts';
import { deleteInstance, forget, hostError, preempt, stop, tellGuest } from './machine-life.ts';
import { firewallJson, projectCalls } from './project-calls.ts';
import { loadSchema } from './proto-schema.ts';
import { makeTokenIssuer, type TokenIssuer } from './tokens.ts';
import type { InstanceRecord, MeteredRun, World, WorldOptions } from './world.ts';

export interface GceEmulatorOptions extends Partial<WorldOptions> {
  /** Default `emulated`. */
  readonly project?: string;
  /** Default: any free port. */
  readonly port?: number;
}

/** A look at an instance that exists now. */
export interface EmulatedInstance {
  readonly id: string;
  readonly name: string;
  readonly zone: string;
  readonly machineType: string;
  readonly status: string;
  readonly spot: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly guestAttributes: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch; null: not planned. */
  readonly terminatesAt: number | null;
  /** null: no SSH server runs. */
  readonly sshPort: number | null;
  readonly console: string;
}

export interface GceEmulator {
  readonly project: string;
  /** `http://127.0.0.1:PORT`, for GPU_RUN_GCP_ENDPOINT. */
  readonly endpoint: string;
  /** For GOOGLE_APPLICATION_CREDENTIALS: a service account's key. */
  readonly credentialsFile: string;
  readonly tokens: TokenIssuer;
  /** What the CLI and SDK need to come here instead of to Google. */
  readonly env: Readonly<Record<string, string>>;
  readonly faults: FaultSwitches;
  /** Every call so far, in the order of its end. */
  readonly calls: readonly RecordedCall[];
  /** Forgets the calls so far. */
  clearCalls(): void;
  /** All that exist, whatever their status: what Google would bill, or has not yet removed. */
  instances(): readonly EmulatedInstance[];
  /** When each machine ran, those that are gone too: what Google's bill would say. */
  meter(): readonly Readonly<MeteredRun>[];
  disks(): readonly string[];
  firewalls(): readonly string[];
  /** Takes a Spot machine back, now; resolves when it is over. */
  preempt(name: string): Promise<void>;
  /** Gone without a trace in the operations. */
  vanish(name: string): Promise<void>;
  /** As somebody else with the right to would delete it. */
  deleteByOther(name: string): Promise<void>;
  /** The host fails: TERMINATED. */
  hostError(name: string): Promise<void>;
  /** TERMINATED. */
  stop(name: string): Promise<void>;
  /** Its SSH server shows another key from now on; with `published` the guest attributes name that one. */
  changeHostKey(name: string, published?: boolean): Promise<void>;
  /** `TERMINATE_ON_HOST_MAINTENANCE`, or `NONE` again. */
  announceMaintenance(name: string, event?: string): void;
  /** It is `ms` later now: what is due happens (end of the run time, key expiry, slow boots). */
  passTime(ms: number): void;
  /** `metric` or `region/metric`. */
  setQuota(metric: string, limit: number): void;
  /** Further rows of the price list. */
  addSku(sku: Readonly<Record<string, unknown>>): void;
  /** Ends every machine with all its processes. Throws what went wrong within the emulator, so that no test passes on it. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const defaults: WorldOptions = {
  operationMs: 20,
  bootMs: 0,
  waitMs: 120_000,
  shutdownGraceMs: 100,
  preemptionNoticeMs: 200,
  pageSize: 500,
  quotas: {},
  advice: 'on',
  projectMetadata: [],
  forceOsLogin: false,
  osLoginGranted: true,
  networks: { default: 'auto' },
  allowSshRule: true,
  prepareGuest: null,
  outside: null,
};

export async function startGceEmulator({ project = 'emulated', port = 0, ...options }: GceEmulatorOptions = {}): Promise<GceEmulator> {
  const schema = loadSchema();
  const folder = mkdtempSync(join(tmpdir(), 'gce-'));
  let cuda: Promise<string | null> | null = null;
  const world: World = {
    project,
    options: { ...defaults, ...options },
    folder,
    mark: `gce-${randomUUID()}`,
    schema,
    catalogue: makeCatalogue(),
    clock: makeEmulatorClock(),
    faults: makeFaults(),
    quotas: new Map(),
    cuda: () => (cuda ??= compileCuda(folder)),
    instances: new Map(),
    disks: new Map(),
    firewalls: new Map(),
    runs: [],
    operations: [],
    osLoginKeys: [],
    requests: new Map(),
  };
  addDefaultRules(world);
  const calls: RecordedCall[] = [];
  const extraSkus: Readonly<Record<string, unknown>>[] = [];
  let tokens: TokenIssuer | null = null;
  const server = makeApiServer({
    world,
    calls: { ...instanceCalls, ...projectCalls, ...adviceCalls },
    log: calls,
    extraSkus,
    tokens: () => tokens as TokenIssuer,
  });
  const relay = answerUpgrades(server, world);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      rmSync(folder, { recursive: true, force: true });
      reject(error);
    });
    server.listen(port, '127.0.0.1', resolve);
  });
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const issuer = makeTokenIssuer(folder, endpoint, project);
  tokens = issuer;
  let closing: Promise<void> | null = null;
  const close = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    world.clock.close();
    await relay.close();
    await Promise.all([...world.instances.values()].map((instance) => forget(world, instance)));
    await closed;
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    if (world.clock.bugs.length > 0) throw new AggregateError(world.clock.bugs, 'The emulator itself has failed');
  };
  const named = (name: string) => find(world, name);
  return {
    project,
    endpoint,
    credentialsFile: issuer.credentialsFile,
    tokens: issuer,
    env: {
      GPU_RUN_GCP_ENDPOINT: endpoint,
      GOOGLE_APPLICATION_CREDENTIALS: issuer.credentialsFile,
      GOOGLE_CLOUD_PROJECT: project,
      METADATA_SERVER_DETECTION: 'none',
    },
    faults: makeFaultSwitches(world.faults),
    calls,
    clearCalls: () => {
      calls.length = 0;
    },
    instances: () => [...world.instances.values()].map(look),
    meter: () => world.runs,
    disks: () => [...world.disks.keys()],
    firewalls: () => [...world.firewalls.keys()],
    preempt: async (name) => await preempt(world, named(name)),
    vanish: async (name) => await forget(world, named(name)),
    deleteByOther: async (name) => await deleteInstance(world, named(name), null).done,
    hostError: async (name) => await hostError(world, named(name)),
    stop: async (name) => await stop(world, named(name)),
    changeHostKey: async (name, published = false) => await named(name).guest?.changeHostKey(published),
    announceMaintenance: (name, event = 'TERMINATE_ON_HOST_MAINTENANCE') => {
      const instance = named(name);
      instance.maintenance = event;
      tellGuest(instance);
    },
    passTime: world.clock.pass,
    setQuota: (metric, limit) => void world.quotas.set(metric, limit),
    addSku: (sku) => void extraSkus.push(sku),
    close: () => (closing ??= close()),
    [Symbol.asyncDispose]: () => (closing ??= close()),
  };
}

function addDefaultRules(world: World): void {
  const { networks, allowSshRule } = world.options;
  if (networks['default'] !== 'auto') return;
  const rule = (body: Readonly<Record<string, unknown>>) => world.firewalls.set(String(body['name']), firewallJson(world, { priority: 65534, ...body }));
  if (allowSshRule) rule({ name: 'default-allow-ssh', sourceRanges: ['0.0.0.0/0'], allowed: [{ IPProtocol: 'tcp', ports: ['22'] }] });
  rule({ name: 'default-allow-internal', sourceRanges: ['10.128.0.0/9'], allowed: [{ IPProtocol: 'tcp', ports: ['0-65535'] }, { IPProtocol: 'icmp' }] });
}

function find(world: World, name: string): InstanceRecord {
  const found = [...world.instances.values()].find((instance) => instance.name === name);
  if (found === undefined) throw new Error(`The emulator has no instance ${name}; it has: ${[...world.instances.keys()].join(', ') || 'none'}`);
  return found;
}

function look(instance: InstanceRecord): EmulatedInstance {
  const { id, name, zone, type, status, spot, labels, metadata, guestAttributes, terminatesAt, guest, console } = instance;
  return {
    id,
    name,
    zone,
    machineType: type.name,
    status,
    spot,
    labels,
    metadata: Object.fromEntries(metadata.map(({ key, value }) => [key, value])),
    guestAttributes: Object.fromEntries(guestAttributes),
    terminatesAt,
    sshPort: guest?.sshPort ?? null,
    console,
  };
}
