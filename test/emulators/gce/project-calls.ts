/** The calls on the project, its places, its firewall rules, and on operations. */
import { ApiError, alreadyExists, invalidValue, notFound } from './api-error.ts';
import { type Call, type CallRequest, requestIdOf } from './call.ts';
import { acceleratorJson, imageJson, machineTypeJson, regionOf } from './catalogue.ts';
import { numericId, timestamp } from './ids.ts';
import { namePattern } from './insert-check.ts';
import { fingerprint } from './machine-json.ts';
import { once, operationJson, startOperation, waitFor } from './operations.ts';
import { aggregatedPage, listPage } from './paging.ts';
import { projectQuotas, regionQuotas } from './quotas.ts';
import { linkBase, linkOrigin, type OperationRecord, type World } from './world.ts';

export const projectCalls: Readonly<Record<string, Call>> = {
  'projects.get': (world) => {
    const { projectMetadata: items } = world.options;
    const metadata = { kind: 'compute#metadata', fingerprint: fingerprint(items), items };
    const name = { kind: 'compute#project', id: numericId(`project ${world.project}`), name: world.project, selfLink: linkBase(world) };
    return { ...name, commonInstanceMetadata: metadata, quotas: projectQuotas(world), defaultNetworkTier: 'PREMIUM' };
  },
  'regions.get': (world, { params: { region = '' } }) => {
    if (!world.catalogue.regions.includes(region)) throw notFound(`projects/${world.project}/regions/${region}`);
    return regionJson(world, region);
  },
  'regions.list': (world, { query }) =>
    listPage(
      world,
      'compute#regionList',
      world.catalogue.regions.map((region) => regionJson(world, region)),
      query,
    ),
  'zones.get': (world, { params: { zone = '' } }) => zoneJson(world, zone),
  'zones.list': (world, { query }) =>
    listPage(
      world,
      'compute#zoneList',
      world.catalogue.zones.map((zone) => zoneJson(world, zone)),
      query,
    ),
  'machineTypes.get': (world, { params: { zone = '', machineType = '' } }) => {
    const row = world.catalogue.machineTypes(zone).find(({ name }) => name === machineType);
    if (row === undefined) throw notFound(`projects/${world.project}/zones/${zone}/machineTypes/${machineType}`);
    return machineTypeJson(row, linkBase(world));
  },
  'machineTypes.list': (world, { params: { zone = '' }, query }) =>
    listPage(
      world,
      'compute#machineTypeList',
      world.catalogue.machineTypes(zone).map((row) => machineTypeJson(row, linkBase(world))),
      query,
    ),
  'machineTypes.aggregatedList': (world, { query }) => {
    const all = world.catalogue.zones.flatMap((zone) =>
      world.catalogue.machineTypes(zone).map((row) => ({ zone, item: machineTypeJson(row, linkBase(world)) })),
    );
    return aggregatedPage(world, 'compute#machineTypeAggregatedList', 'machineTypes', all, query);
  },
  'acceleratorTypes.list': (world, { params: { zone = '' }, query }) =>
    listPage(
      world,
      'compute#acceleratorTypeList',
      world.catalogue.accelerators(zone).map((row) => acceleratorJson(row, linkBase(world))),
      query,
    ),
  'acceleratorTypes.aggregatedList': (world, { query }) => {
    const all = world.catalogue.zones.flatMap((zone) =>
      world.catalogue.accelerators(zone).map((row) => ({ zone, item: acceleratorJson(row, linkBase(world)) })),
    );
    return aggregatedPage(world, 'compute#acceleratorTypeAggregatedList', 'acceleratorTypes', all, query);
  },
  'images.getFromFamily': (world, { params: { project = '', family = '' } }) => {
    const row = world.catalogue.imageOfFamily(project, family);
    if (row === null) throw notFound(`projects/${project}/global/images/family/${family}`);
    return imageJson(row, linkOrigin);
  },
  'images.get': (world, { params: { project = '', image = '' } }) => {
    const row = world.catalogue.image(project, image);
    if (row === null) throw notFound(`projects/${project}/global/images/${image}`);
    return imageJson(row, linkOrigin);
  },
  'networks.get': (world, { params: { network = '' } }) => {
    const mode = world.options.networks[network];
    if (mode === undefined) throw notFound(`projects/${world.project}/global/networks/${network}`);
    const selfLink = `${linkBase(world)}/global/networks/${network}`;
    return { kind: 'compute#network', id: numericId(`network ${network}`), name: network, autoCreateSubnetworks: mode === 'auto', selfLink };
  },

  'firewalls.get': (world, { params: { firewall = '' } }) => ruleOf(world, firewall),
  'firewalls.list': (world, { query }) => listPage(world, 'compute#firewallList', [...world.firewalls.values()], query),
  'firewalls.insert': (world, request) => {
    const name = String(request.body['name'] ?? '');
    return orderRule(world, request, 'insert', name, () => {
      if (!namePattern.test(name)) throw invalidValue('resource.name', name, "Must be a match of regex '(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)'");
      if (world.firewalls.has(name)) throw alreadyExists(`projects/${world.project}/global/firewalls/${name}`);
      const rule = firewallJson(world, request.body);
      return () => void world.firewalls.set(name, rule);
    });
  },
  'firewalls.patch': (world, request) => {
    const { firewall = '' } = request.params;
    return orderRule(world, request, 'patch', firewall, () => {
      const before = ruleOf(world, firewall);
      return () => void world.firewalls.set(firewall, { ...before, ...request.body });
    });
  },
  'firewalls.delete': (world, request) => {
    const { firewall = '' } = request.params;
    return orderRule(world, request, 'delete', firewall, () => {
      ruleOf(world, firewall);
      return () => void world.firewalls.delete(firewall);
    });
  },

  'zoneOperations.get': (world, request) => operationJson(world, operationOf(world, request)),
  'zoneOperations.wait': waitOperation,
  'zoneOperations.list': (world, { params, query }) => operationList(world, params['zone'] ?? '', query),
  'globalOperations.get': (world, request) => operationJson(world, operationOf(world, request)),
  'globalOperations.wait': waitOperation,
  'globalOperations.list': (world, { query }) => operationList(world, null, query),
};

async function waitOperation(world: World, request: CallRequest): Promise<unknown> {
  const record = operationOf(world, request);
  await waitFor(world, record);
  return operationJson(world, record);
}

function operationOf(world: World, { params: { zone, operation } }: CallRequest): OperationRecord {
  const record = world.operations.find((one) => one.zone === (zone ?? null) && (one.name === operation || one.id === operation));
  if (record === undefined) throw notFound(`projects/${world.project}/${zone === undefined ? 'global' : `zones/${zone}`}/operations/${operation}`);
  return record;
}

function operationList(world: World, zone: string | null, query: CallRequest['query']): unknown {
  const here = world.operations.filter((one) => one.zone === zone).reverse();
  const inOrder = query['orderBy'] === undefined || query['orderBy'] === 'creationTimestamp desc' ? here : here.reverse();
  return listPage(
    world,
    'compute#operationList',
    inOrder.map((one) => operationJson(world, one)),
    query,
  );
}

function regionJson(world: World, region: string): Readonly<Record<string, unknown>> {
  const base = linkBase(world);
  const zones = world.catalogue.zonesOf(region).map((zone) => `${base}/zones/${zone}`);
  return {
    kind: 'compute#region',
    id: numericId(region),
    name: region,
    description: region,
    status: 'UP',
    zones,
    quotas: regionQuotas(world, region),
    selfLink: `${base}/regions/${region}`,
  };
}

function zoneJson(world: World, zone: string): Readonly<Record<string, unknown>> {
  if (!world.catalogue.zones.includes(zone)) throw notFound(`projects/${world.project}/zones/${zone}`);
  const base = linkBase(world);
  return {
    kind: 'compute#zone',
    id: numericId(zone),
    name: zone,
    description: zone,
    status: 'UP',
    region: `${base}/regions/${regionOf(zone)}`,
    selfLink: `${base}/zones/${zone}`,
  };
}

function ruleOf(world: World, name: string): Readonly<Record<string, unknown>> {
  const rule = world.firewalls.get(name);
  if (rule === undefined) throw notFound(`projects/${world.project}/global/firewalls/${name}`);
  return rule;
}

/** With what the API fills in. */
export function firewallJson(world: World, body: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const base = linkBase(world);
  const network =
    String(body['network'] ?? 'global/networks/default')
      .split('/')
      .at(-1) ?? '';
  if (world.options.networks[network] === undefined)
    throw invalidValue('resource.network', body['network'], 'The referenced network resource cannot be found.');
  if (body['allowed'] === undefined && body['denied'] === undefined)
    throw new ApiError({ status: 400, reason: 'invalid', message: 'Exactly one of allowed and denied must be specified.' });
  const given = {
    kind: 'compute#firewall',
    id: numericId(),
    creationTimestamp: timestamp(world.clock.now()),
    priority: 1000,
    direction: 'INGRESS',
    disabled: false,
  };
  return { ...given, ...body, network: `${base}/global/networks/${network}`, selfLink: `${base}/global/firewalls/${String(body['name'])}` };
}

/** `check` refuses, or tells what will be so. */
function orderRule(world: World, request: CallRequest, type: string, name: string, check: () => () => void): unknown {
  const requestId = requestIdOf(request);
  const order = () => startOperation(world, { type, zone: null, target: `global/firewalls/${name}`, targetId: numericId(), requestId, effect: check() });
  return operationJson(world, once(world, `${type} firewall ${name}`, requestId, order));
}
