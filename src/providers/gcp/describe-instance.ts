/** One look at a machine: what the API says of it, and, once it runs, how it is reached and by which host keys it is known. */
import type { Access, EndCause, MachineStatus } from '../../core/machine.ts';
import { publishedHostKeys, publishedSshPort } from './access/host-keys.ts';
import type { GceApi } from './gce-api.ts';
import type { Instance } from './gce-types.ts';
import { type InstanceRef, isInstanceName, lastOf } from './instance-ref.ts';
import { unfinishedOrder } from './unfinished-order.ts';

/** Statuses of an instance that does not run (any more) and still exists, and so still bills: at least its disk. */
const ending = new Set(['PENDING_STOP', 'STOPPING', 'STOPPED', 'TERMINATED', 'SUSPENDING', 'SUSPENDED', 'DEPROVISIONING']);

/** Google's timer ends a machine up to this long before and after its time, by clocks that differ. */
const timerSlackMs = 90_000;

export async function describeInstance(api: GceApi, ref: InstanceRef, deadline: number, now: number, signal?: AbortSignal): Promise<MachineStatus> {
  if (!isInstanceName(ref.name)) return { state: 'gone', access: null, detail: null, deadline: null };
  if (ref.disk !== null) return diskStatus(api, ref, signal);
  const instance = await api.getInstance(ref.zone, ref.name, signal);
  if (instance === null && ref.instanceId === null && (await unfinishedOrder(api, ref.zone, ref.name, signal)) !== null) {
    return { state: 'pending', access: null, detail: 'Google works on the order', deadline: null };
  }
  if (instance === null || (ref.instanceId !== null && instance.id !== ref.instanceId)) {
    return { state: 'gone', access: null, deadline: null, ...(await whyGone(api, ref, deadline, now, signal)) };
  }
  const timer = instance.resourceStatus?.scheduling?.terminationTimestamp;
  const ends = timer === undefined ? null : Date.parse(timer);
  if (ending.has(instance.status)) {
    const { cause, detail } = await whyGone(api, { ...ref, instanceId: instance.id }, deadline, now, signal);
    return { state: 'ending', access: null, deadline: ends, detail: detail ?? `Google says ${instance.status}`, ...(cause === undefined ? {} : { cause }) };
  }
  if (instance.status !== 'RUNNING') {
    return { state: 'pending', access: null, detail: instance.statusMessage ?? `Google says ${instance.status}`, deadline: ends };
  }
  const [access, takenBack] = await Promise.all([accessOf(api, ref, instance, signal), isTakenBack(api, ref, instance, signal)]);
  if (takenBack) return { state: 'ending', access: null, detail: takenBackText, cause: 'preempted', deadline: ends };
  return { state: 'running', access, detail: access === null ? 'it boots, and has not published its host keys yet' : null, deadline: ends };
}

async function diskStatus(api: GceApi, ref: InstanceRef, signal?: AbortSignal): Promise<MachineStatus> {
  const { items, unreachable } = await api.listDisks(`name=${ref.disk}`, signal);
  const there = unreachable.length > 0 || items.some(({ name, zone }) => name === ref.disk && zone !== undefined && lastOf(zone) === ref.zone);
  return { state: there ? 'ending' : 'gone', access: null, detail: there ? 'the machine is gone, its disk is not' : null, deadline: null };
}

/** null: not known yet. There is no way in without the host keys. */
async function accessOf(api: GceApi, ref: InstanceRef, instance: Instance, signal?: AbortSignal): Promise<Access | null> {
  const hostKeys = await publishedHostKeys(api, ref.zone, ref.name, signal);
  if (hostKeys === null) return null;
  const port = await publishedSshPort(api, ref.zone, ref.name, signal); // published before the keys
  const own = { kind: 'own', port, user: ref.user, hostKeys } as const;
  if (!ref.publicIp) {
    const nic = instance.networkInterfaces?.[0]?.name ?? 'nic0';
    const { project, zone, name, credentialsFile } = ref;
    return { ...own, host: name, tunnel: { project, zone, instance: name, interface: nic, port, credentialsFile } };
  }
  const host = instance.networkInterfaces?.[0]?.accessConfigs?.[0]?.natIP;
  return host === undefined || host === '' ? null : { ...own, host };
}

const takenBackText = 'Google took it back (preempted)';

/** The status of a Spot machine lags behind by up to a minute; the log of operations does not. */
async function isTakenBack(api: GceApi, { zone }: InstanceRef, { id, scheduling }: Instance, signal?: AbortSignal): Promise<boolean> {
  if (scheduling?.provisioningModel !== 'SPOT') return false;
  return (await api.listOperations(zone, `operationType="compute.instances.preempted" AND targetId=${id}`, signal)).length > 0;
}

/** From the zone's log of operations, which outlives the machine; it names what Google itself did, and what somebody ordered. */
async function whyGone(
  api: GceApi,
  ref: InstanceRef,
  deadline: number,
  now: number,
  signal?: AbortSignal,
): Promise<{ cause?: EndCause; detail: string | null }> {
  const operations = ref.instanceId === null ? [] : await api.listOperations(ref.zone, `targetId=${ref.instanceId}`, signal);
  const has = (type: string) => operations.some(({ operationType }) => operationType.toLowerCase() === type);
  if (has('compute.instances.preempted')) return { cause: 'preempted', detail: takenBackText };
  if (has('compute.instances.hosterror')) return { cause: 'host-error', detail: 'the computer at Google that it ran on failed' };
  if (has('compute.instances.terminateonhostmaintenance'))
    return { cause: 'host-error', detail: 'Google ended it for maintenance of the computer that it ran on' };
  if (now >= deadline - timerSlackMs) return { cause: 'deadline', detail: "Google's timer ended it at its deadline" };
  if (has('delete')) return { cause: 'deleted', detail: 'it was deleted by a request to the API' };
  if (has('stop')) return { cause: 'deleted', detail: 'it was stopped by a request to the API, or from inside' };
  return { detail: null };
}
