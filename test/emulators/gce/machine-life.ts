/** From an order to a running machine, and every way in which one ends. */
import type { InstanceBody } from '../../../src/providers/gcp/gce-resources.ts';
import { alreadyExists } from './api-error.ts';
import type { MachineFault, Subject } from './faults.ts';
import { bootGuest } from './guest.ts';
import { numericId } from './ids.ts';
import { checkOrder } from './insert-check.ts';
import { logOperation, startOperation } from './operations.ts';
import { checkQuota } from './quotas.ts';
import type { InstanceRecord, OperationRecord, World } from './world.ts';

export function orderInstance(world: World, zone: string, body: InstanceBody, requestId: string | null): OperationRecord {
  const order = checkOrder(world, zone, body);
  const key = `${zone}/${body.name}`;
  if (world.instances.has(key)) throw alreadyExists(`projects/${world.project}/zones/${zone}/instances/${body.name}`);
  const diskKey = `${zone}/${order.bootDisk.name}`;
  if (world.disks.has(diskKey)) throw alreadyExists(`projects/${world.project}/zones/${zone}/disks/${order.bootDisk.name}`);
  const { type, gpus, image, labels, metadata, tags, scheduling } = order;
  checkQuota(world, { zone, type, gpus, spot: scheduling.spot });
  const subject: Subject = { zone, name: body.name, machineType: type.name, spot: scheduling.spot };
  const instance: InstanceRecord = {
    id: numericId(),
    name: body.name,
    zone,
    body,
    type,
    gpus,
    image,
    spot: scheduling.spot,
    trouble: troubleFor(world, subject),
    createdAt: world.clock.now(),
    mac: '42:01:0a:80:00:02',
    address: world.options.outside?.nextAddress() ?? '127.0.0.1',
    status: 'PROVISIONING',
    startedAt: null,
    stoppedAt: null,
    terminatesAt: null,
    labels,
    metadata,
    tags,
    preempted: false,
    maintenance: 'NONE',
    guestAttributes: new Map(),
    console: '',
    guest: null,
    plans: new Set(),
    changed: new Set(),
  };
  world.instances.set(key, instance);
  const { name, sizeGb, autoDelete } = order.bootDisk;
  const disk = { id: numericId(), name, zone, sizeGb: String(sizeGb), type: order.bootDisk.type, labels: order.bootDisk.labels, autoDelete, user: body.name };
  world.disks.set(diskKey, disk);
  return startOperation(world, {
    type: 'insert',
    zone,
    target: `zones/${zone}/instances/${body.name}`,
    targetId: instance.id,
    requestId,
    subject,
    effect: () => start(world, instance, scheduling.maxRunMs, scheduling.terminationAction),
    failed: () => forget(world, instance),
  });
}

/** All that applies, the first word on each point winning. */
function troubleFor(world: World, subject: Subject): MachineFault {
  const first = world.faults.machines.take(subject);
  return first ?? {};
}

async function start(world: World, instance: InstanceRecord, maxRunMs: number | null, action: 'DELETE' | 'STOP'): Promise<void> {
  if (!isThere(world, instance) || instance.status === 'STOPPING') return; // deleted while it was made
  const { clock } = world;
  instance.status = 'RUNNING';
  instance.startedAt = clock.now();
  world.runs.push({ name: instance.name, from: clock.now(), to: null });
  if (maxRunMs !== null) {
    instance.terminatesAt = clock.now() + maxRunMs;
    if (instance.trouble.timerFails !== true) plan(world, instance, maxRunMs, () => runOut(world, instance, action));
  }
  const { preemptAfterMs, vanishAfterMs } = instance.trouble;
  if (preemptAfterMs !== undefined) plan(world, instance, preemptAfterMs, () => preempt(world, instance));
  if (vanishAfterMs !== undefined) plan(world, instance, vanishAfterMs, () => forget(world, instance));
  plan(world, instance, instance.trouble.bootMs ?? world.options.bootMs, () => bootGuest(world, instance, () => void stop(world, instance)));
}

export function plan(world: World, instance: InstanceRecord, ms: number, work: () => void | Promise<void>): void {
  const cancel = world.clock.at(world.clock.now() + ms, () => {
    instance.plans.delete(cancel);
    return work();
  });
  instance.plans.add(cancel);
}

export function isThere(world: World, instance: InstanceRecord): boolean {
  return world.instances.get(`${instance.zone}/${instance.name}`) === instance;
}

/** The delete call: STOPPING until its operation is done. */
export function deleteInstance(world: World, instance: InstanceRecord, requestId: string | null): OperationRecord {
  instance.status = 'STOPPING';
  return startOperation(world, {
    type: 'delete',
    zone: instance.zone,
    target: `zones/${instance.zone}/instances/${instance.name}`,
    targetId: instance.id,
    requestId,
    subject: { zone: instance.zone, name: instance.name, machineType: instance.type.name, spot: instance.spot },
    effect: () => forget(world, instance),
    failed: () => {
      instance.status = 'RUNNING';
    },
  });
}

/** Google takes a Spot machine back. With the termination action STOP it stays, TERMINATED; its operation stays in any case. */
export async function preempt(world: World, instance: InstanceRecord): Promise<void> {
  if (!isThere(world, instance) || instance.preempted) return;
  instance.preempted = true;
  tellGuest(instance);
  logOperation(world, systemOrder('compute.instances.preempted', instance));
  instance.status = 'STOPPING';
  await Promise.all([instance.guest?.runShutdownScript(), world.clock.sleep(world.options.preemptionNoticeMs)]);
  const { scheduling = {} } = instance.body as Record<string, any>;
  await (scheduling['instanceTerminationAction'] === 'DELETE' ? forget(world, instance) : stop(world, instance));
}

async function runOut(world: World, instance: InstanceRecord, action: 'DELETE' | 'STOP'): Promise<void> {
  if (!isThere(world, instance)) return;
  instance.status = 'STOPPING';
  logOperation(world, { ...systemOrder(action === 'DELETE' ? 'delete' : 'stop', instance) });
  await (action === 'DELETE' ? forget(world, instance) : stop(world, instance));
}

/** A host that fails ends the machine like pulling its plug. */
export async function hostError(world: World, instance: InstanceRecord): Promise<void> {
  logOperation(world, systemOrder('compute.instances.hostError', instance));
  await stop(world, instance);
}

function systemOrder(type: string, { zone, name, id }: InstanceRecord) {
  return { type, zone, target: `zones/${zone}/instances/${name}`, targetId: id };
}

/** TERMINATED: nothing runs, the disk stays, and the time at which it was to end is forgotten. */
export async function stop(world: World, instance: InstanceRecord): Promise<void> {
  if (instance.status === 'TERMINATED') return;
  instance.status = 'STOPPING';
  instance.terminatesAt = null;
  cancelPlans(instance);
  await endGuest(instance);
  if (isThere(world, instance)) {
    instance.status = 'TERMINATED';
    instance.stoppedAt = world.clock.now();
  }
  endRun(world, instance);
}

/** Gone, with the disks that go with it, and no operation. */
export async function forget(world: World, instance: InstanceRecord): Promise<void> {
  cancelPlans(instance);
  await endGuest(instance);
  if (!isThere(world, instance)) return;
  endRun(world, instance);
  world.instances.delete(`${instance.zone}/${instance.name}`);
  for (const [key, disk] of world.disks) {
    if (disk.zone !== instance.zone || disk.user !== instance.name) continue;
    if (disk.autoDelete) world.disks.delete(key);
    else disk.user = null;
  }
}

function endRun({ runs, clock }: World, { name }: InstanceRecord): void {
  const run = runs.findLast((each) => each.name === name);
  if (run !== undefined) run.to ??= clock.now();
}

function cancelPlans(instance: InstanceRecord): void {
  for (const cancel of instance.plans) cancel();
  instance.plans.clear();
}

/** Whoever ends it at the same time waits for the same end. */
async function endGuest(instance: InstanceRecord): Promise<void> {
  await instance.guest?.end();
  instance.guest = null;
}

/** Wakes the metadata server's hanging reads. */
export function tellGuest(instance: InstanceRecord): void {
  for (const wake of [...instance.changed]) wake();
}
