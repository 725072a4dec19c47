/** The calls on instances and disks. */
import type { InstanceBody } from '../../../src/providers/gcp/gce-resources.ts';
import { ApiError, badRequest, notFound } from './api-error.ts';
import { type Call, instanceOf, requestIdOf } from './call.ts';
import { checkLabels, checkMetadata } from './insert-check.ts';
import { diskJson, fingerprint, instanceJson } from './machine-json.ts';
import { deleteInstance, orderInstance, stop, tellGuest } from './machine-life.ts';
import { once, operationJson, startOperation } from './operations.ts';
import { aggregatedPage, listPage } from './paging.ts';
import { type InstanceRecord, linkBase, type OperationRecord, takesGuestAttributes, type World } from './world.ts';

export const instanceCalls: Readonly<Record<string, Call>> = {
  'instances.insert': (world, request) => {
    const { zone = '' } = request.params;
    const order = () => orderInstance(world, zone, request.body as InstanceBody, requestIdOf(request));
    return operationJson(world, once(world, `insert ${zone}`, requestIdOf(request), order));
  },
  'instances.get': (world, request) => instanceJson(world, instanceOf(world, request)),
  'instances.delete': (world, request) => {
    const { zone, instance } = request.params;
    const order = () => deleteInstance(world, instanceOf(world, request), requestIdOf(request));
    return operationJson(world, once(world, `delete ${zone} ${instance}`, requestIdOf(request), order));
  },
  'instances.stop': (world, request) => changed(world, instanceOf(world, request), 'stop', requestIdOf(request), (instance) => stop(world, instance)),
  'instances.list': (world, request) => {
    const here = [...world.instances.values()].filter(({ zone }) => zone === request.params['zone']);
    return listPage(
      world,
      'compute#instanceList',
      here.map((one) => instanceJson(world, one)),
      request.query,
    );
  },
  'instances.aggregatedList': (world, { query }) => {
    const all = [...world.instances.values()].map((one) => ({ zone: one.zone, item: instanceJson(world, one) }));
    return aggregatedPage(world, 'compute#instanceAggregatedList', 'instances', all, query);
  },
  'instances.setMetadata': (world, request) => {
    const instance = instanceOf(world, request);
    const items = checkMetadata(request.body['items'] ?? []);
    checkFingerprint(request.body['fingerprint'], instance.metadata, 'Supplied fingerprint does not match current metadata fingerprint.');
    return changed(world, instance, 'setMetadata', requestIdOf(request), () => {
      instance.metadata = items;
      tellGuest(instance);
    });
  },
  'instances.setLabels': (world, request) => {
    const instance = instanceOf(world, request);
    const labels = checkLabels(request.body['labels'] ?? {});
    checkFingerprint(request.body['labelFingerprint'], instance.labels, 'Labels fingerprint either invalid or resource labels have changed');
    return changed(world, instance, 'setLabels', requestIdOf(request), () => {
      instance.labels = labels;
    });
  },
  'instances.getGuestAttributes': (world, request) => guestAttributes(world, instanceOf(world, request), request.query),
  'instances.getSerialPortOutput': (world, request) => {
    const instance = instanceOf(world, request);
    const bytes = Buffer.from(instance.console, 'utf8');
    const start = Math.max(0, Number(request.query['start'] ?? 0), bytes.length - 1024 * 1024);
    const selfLink = `${linkBase(world)}/zones/${instance.zone}/instances/${instance.name}/serialPort`;
    return { kind: 'compute#serialPortOutput', contents: bytes.subarray(start).toString('utf8'), start: String(start), next: String(bytes.length), selfLink };
  },
  'instances.getEffectiveFirewalls': (world, request) => {
    const instance = instanceOf(world, request);
    if (request.query['networkInterface'] !== 'nic0')
      throw badRequest("Invalid value for field 'networkInterface': ''. Network interface not found.", 'invalid');
    const own = (instance.body as Record<string, any>)['networkInterfaces']?.[0]?.network ?? 'global/networks/default';
    const firewalls = [...world.firewalls.values()].filter((rule) => String(rule['network']).endsWith(`/${String(own).split('/').at(-1)}`));
    return { firewalls, firewallPolicys: [] };
  },
  'disks.get': (world, { params: { zone, disk } }) => {
    const record = world.disks.get(`${zone}/${disk}`);
    if (record === undefined) throw notFound(`projects/${world.project}/zones/${zone}/disks/${disk}`);
    return diskJson(world, record);
  },
  'disks.list': (world, { params, query }) => {
    const here = [...world.disks.values()].filter(({ zone }) => zone === params['zone']);
    return listPage(
      world,
      'compute#diskList',
      here.map((disk) => diskJson(world, disk)),
      query,
    );
  },
  'disks.aggregatedList': (world, { query }) => {
    const all = [...world.disks.values()].map((disk) => ({ zone: disk.zone, item: diskJson(world, disk) }));
    return aggregatedPage(world, 'compute#diskAggregatedList', 'disks', all, query);
  },
  'disks.delete': (world, request) => {
    const { zone = '', disk: name = '' } = request.params;
    const order = () => orderDiskDelete(world, zone, name, requestIdOf(request));
    return operationJson(world, once(world, `delete disk ${zone} ${name}`, requestIdOf(request), order));
  },
};

function changed(
  world: World,
  instance: InstanceRecord,
  type: string,
  requestId: string | null,
  effect: (instance: InstanceRecord) => void | Promise<void>,
): unknown {
  const { zone, name, id } = instance;
  const order = () => startOperation(world, { type, zone, target: `zones/${zone}/instances/${name}`, targetId: id, requestId, effect: () => effect(instance) });
  return operationJson(world, once(world, `${type} ${zone} ${name}`, requestId, order));
}

function checkFingerprint(given: unknown, current: unknown, message: string): void {
  if (given === fingerprint(current)) return;
  throw new ApiError({ status: 412, reason: 'conditionNotMet', message });
}

function guestAttributes(world: World, instance: InstanceRecord, { queryPath, variableKey }: Readonly<Record<string, string | undefined>>): unknown {
  const path = queryPath ?? variableKey ?? '';
  const missing = () => notFound(path === '' ? 'guestAttributes' : path);
  if (!takesGuestAttributes(world, instance)) throw missing();
  const selfLink = `${linkBase(world)}/zones/${instance.zone}/instances/${instance.name}/getGuestAttributes`;
  const kind = 'compute#guestAttributes';
  if (queryPath === undefined && variableKey !== undefined) {
    const value = instance.guestAttributes.get(variableKey);
    if (value === undefined) throw missing();
    return { kind, selfLink, variableKey, variableValue: value };
  }
  const matches = ([key]: readonly [string, string]) =>
    path === '' || path === '/' || (path.endsWith('/') ? key.startsWith(path) : key === path || key.startsWith(`${path}/`));
  const items = [...instance.guestAttributes].filter(matches).map(([full, value]) => {
    const [namespace = '', key = ''] = full.split('/');
    return { namespace, key, value };
  });
  if (items.length === 0) throw missing();
  return { kind, selfLink, queryPath: path, queryValue: { items } };
}

function orderDiskDelete(world: World, zone: string, name: string, requestId: string | null): OperationRecord {
  const disk = world.disks.get(`${zone}/${name}`);
  const target = `zones/${zone}/disks/${name}`;
  if (disk === undefined) throw notFound(`projects/${world.project}/${target}`);
  if (disk.user !== null) {
    const message = `The disk resource 'projects/${world.project}/${target}' is already being used by 'projects/${world.project}/zones/${zone}/instances/${disk.user}'`;
    throw new ApiError({ status: 400, reason: 'resourceInUseByAnotherResource', message });
  }
  const effect = () => {
    world.disks.delete(`${zone}/${name}`);
  };
  return startOperation(world, { type: 'delete', zone, target, targetId: disk.id, requestId, effect });
}
