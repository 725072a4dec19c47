/** Each method of `GceApi` as a call of Google's client library: which one, with which fields, and what may be repeated. */
import type { Clock } from '../../../core/clock.ts';
import type { GceApi } from '../gce-api.ts';
import { GceError } from '../gce-error.ts';
import type { EffectiveFirewalls, Operation } from '../gce-resources.ts';
import { asAcceleratorType, asDisk, asFirewall, asImage, asInstance, asMachineType, asOperation, asProject, asRegion } from './answers.ts';
import { lastPart, listAll, listEverywhere } from './listing.ts';
import { type CallLimits, type Repeatable, repeatCall } from './repeat-call.ts';
import type { Ask, Call, Json } from './seam.ts';
import type { Tokens } from './tokens.ts';
import { validateBody } from './validate-body.ts';

export interface GceCallParts {
  readonly project: string;
  readonly account: string | null;
  readonly ask: Ask;
  readonly tokens: Tokens;
  readonly clock: Clock;
  readonly limits: CallLimits;
  readonly waitLimits: CallLimits;
  readonly random: () => number;
}

/** For what only helps to choose: better without it than late. */
const hintLimits: CallLimits = { tryMs: 10_000, callMs: 15_000 };
/** Between two waits that came back at once without an end, milliseconds. */
const waitPauseMs = 1_000;

export function createGceCalls(parts: GceCallParts): GceApi {
  const { project, account, ask, clock } = parts;
  const call =
    (repeatable: Repeatable) =>
    async (client: Call['client'], method: string, fields: Json, signal: AbortSignal | undefined): Promise<Json> =>
      await ask({ client, method, request: { project, ...fields }, repeatable, signal });
  const read = call('read');
  const order = call('order');

  return {
    project,
    account,
    async insertInstance(zone, body, requestId, signal) {
      validateBody('Instance', body);
      return asOperation(await order('instances', 'insert', { zone, requestId, instanceResource: body }, signal));
    },
    getInstance: async (zone, instance, signal) => await absentOn([404], read('instances', 'get', { zone, instance }, signal).then(asInstance)),
    deleteInstance: async (zone, instance, requestId, signal) =>
      await absentOn([404], order('instances', 'delete', { zone, instance, requestId }, signal).then(asOperation)),
    async listInstances(filter, signal) {
      const { items, unreachable } = await listEverywhere<Json>(ask, { client: 'instances', request: { project, filter }, signal }, 'instances');
      return { items: items.map(asInstance), unreachable };
    },
    async setMetadata(zone, instance, items, fingerprint, signal) {
      const fields = { zone, instance, metadataResource: { fingerprint, items } };
      return asOperation(await call('once')('instances', 'setMetadata', fields, signal));
    },
    async guestAttributes(zone, instance, path, signal) {
      const answer = await absentOn([404], read('instances', 'getGuestAttributes', { zone, instance, queryPath: path }, signal));
      return guestAttributesOf(answer);
    },
    async serialOutput(zone, instance, signal) {
      const { contents } = await read('instances', 'getSerialPortOutput', { zone, instance, port: 1 }, signal);
      return typeof contents === 'string' ? contents : '';
    },
    effectiveFirewalls: async (zone, instance, signal) =>
      (await read('instances', 'getEffectiveFirewalls', { zone, instance, networkInterface: 'nic0' }, signal)) as EffectiveFirewalls,

    async listDisks(filter, signal) {
      const { items, unreachable } = await listEverywhere<Json>(ask, { client: 'disks', request: { project, filter }, signal }, 'disks');
      return { items: items.map(asDisk), unreachable };
    },
    deleteDisk: async (zone, disk, requestId, signal) => await absentOn([404], order('disks', 'delete', { zone, disk, requestId }, signal).then(asOperation)),

    waitOperation: async (operation, signal) => await waitUntilDone(parts, operation, signal),
    async listOperations(zone, filter, signal) {
      const request = { project, zone, filter, orderBy: 'creationTimestamp desc' };
      return (await listAll<Json>(ask, { client: 'zone_operations', request, signal })).map(asOperation);
    },

    imageFromFamily: async (imageProject, family, signal) =>
      await absentOn([403, 404], read('images', 'getFromFamily', { project: imageProject, family }, signal).then(asImage)),
    getProject: async (signal) => asProject(await read('projects', 'get', {}, signal)),
    listRegions: async (signal) => (await listAll<Json>(ask, { client: 'regions', request: { project }, signal })).map(asRegion),
    async listMachineTypes(filter, signal) {
      const { items, unreachable } = await listEverywhere<Json>(ask, { client: 'machine_types', request: { project, filter }, signal }, 'machineTypes');
      return { items: items.map(asMachineType), unreachable };
    },
    async listAcceleratorTypes(filter, signal) {
      const list = { client: 'accelerator_types', request: { project, filter }, signal } as const;
      const { items, unreachable } = await listEverywhere<Json>(ask, list, 'acceleratorTypes');
      return { items: items.map(asAcceleratorType), unreachable };
    },

    listFirewalls: async (filter, signal) => (await listAll<Json>(ask, { client: 'firewalls', request: { project, filter }, signal })).map(asFirewall),
    getFirewall: async (firewall, signal) => await absentOn([404], read('firewalls', 'get', { firewall }, signal).then(asFirewall)),
    async insertFirewall(body, requestId, signal) {
      validateBody('Firewall', body);
      return asOperation(await order('firewalls', 'insert', { requestId, firewallResource: body }, signal));
    },
    async patchFirewall(firewall, body, requestId, signal) {
      validateBody('Firewall', body);
      return asOperation(await order('firewalls', 'patch', { firewall, requestId, firewallResource: body }, signal));
    },
    deleteFirewall: async (firewall, requestId, signal) =>
      await absentOn([404], order('firewalls', 'delete', { firewall, requestId }, signal).then(asOperation)),

    async capacityAdvice(region, body, signal) {
      validateBody('CapacityAdviceRequest', body);
      const request = { project, region, capacityAdviceRequestResource: body };
      return await absentOn([403, 404, 501], ask({ client: 'advice', method: 'capacity', request, repeatable: 'read', limits: hintLimits, signal }));
    },

    async accessToken(signal) {
      const repetition = { ...parts, call: 'access token', repeatable: 'read', signal } as const;
      return await repeatCall(async () => await parts.tokens.accessToken(), repetition);
    },
  };

  async function waitUntilDone({ waitLimits }: GceCallParts, first: Operation, signal: AbortSignal | undefined): Promise<Operation> {
    const zone = first.zone === undefined ? {} : { zone: lastPart(first.zone) };
    const client = first.zone === undefined ? 'global_operations' : 'zone_operations';
    let operation = first;
    while (operation.status !== 'DONE') {
      const started = clock.now();
      const request = { project, ...zone, operation: first.name };
      operation = asOperation(await ask({ client, method: 'wait', request, repeatable: 'read', limits: waitLimits, signal }));
      if (operation.status !== 'DONE' && clock.now() - started < waitPauseMs) await clock.sleep(waitPauseMs, signal);
    }
    return operation;
  }
}

async function absentOn<T>(statuses: readonly number[], answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (thrown) {
    if (thrown instanceof GceError && thrown.status !== null && statuses.includes(thrown.status) && !isTemporary(thrown)) return null;
    throw thrown;
  }
}

/** 403 also stands for a rate limit that did not end in time: nothing is known then. */
function isTemporary({ reasons, details }: GceError): boolean {
  return [...reasons, ...details.map(({ reason }) => reason)].some((name) => /rateLimitExceeded|RATE_LIMIT_EXCEEDED/i.test(name));
}

/** Key, without its namespace -> value. */
function guestAttributesOf(answer: Json | null): ReadonlyMap<string, string> {
  const items = (answer?.['queryValue'] as { readonly items?: unknown } | undefined)?.items;
  const found = new Map<string, string>();
  for (const item of Array.isArray(items) ? items : []) {
    const { key, value } = (item ?? {}) as Json;
    if (typeof key === 'string' && typeof value === 'string') found.set(key, value);
  }
  return found;
}
