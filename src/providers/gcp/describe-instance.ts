/** One look at a machine: what the API says of it, and, once it runs, how it is reached and by which host keys it is known. */
import type { MachineStatus } from '../../core/machine.ts';
import type { GceApi } from './gce-api.ts';
import type { Instance } from './gce-resources.ts';
import { accessOf } from './instance-access.ts';
import { type InstanceRef, isInstanceName, lastOf, timeOf } from './instance-ref.ts';
import type { Look } from './look.ts';
import { unfinishedOrder } from './unfinished-order.ts';
import { type Ending, isTakenBack, takenBackText, whyGone } from './why-gone.ts';

/** Statuses of an instance that does not run (any more) and still exists, and so still bills: at least its disk. */
const ending = new Set(['PENDING_STOP', 'STOPPING', 'STOPPED', 'TERMINATED', 'SUSPENDING', 'SUSPENDED', 'DEPROVISIONING']);

export async function describeInstance(look: Look): Promise<MachineStatus> {
  const { api, ref, deadline, now, signal } = look;
  if (!isInstanceName(ref.name)) return { state: 'gone', access: null, detail: null, deadline: null };
  if (ref.rule !== null) return { state: 'gone', access: null, detail: null, deadline: null };
  if (ref.disk !== null) return diskStatus(api, ref, signal);
  const instance = await api.getInstance(ref.zone, ref.name, signal);
  if (instance === null && ref.instanceId === null && (await unfinishedOrder(api, ref.zone, ref.name, signal)) !== null) {
    return { state: 'pending', access: null, detail: 'Google works on the order', deadline: null };
  }
  if (instance === null || (ref.instanceId !== null && instance.id !== ref.instanceId)) {
    return { state: 'gone', access: null, deadline: null, ...(await whyGone(api, ref, { deadline, now, stoppedAt: null }, signal)) };
  }
  const timer = instance.resourceStatus?.scheduling?.terminationTimestamp;
  const ends = timer === undefined ? null : Date.parse(timer);
  if (ending.has(instance.status)) return await endingStatus(look, instance, ends);
  if (instance.status === 'PENDING' && instance.scheduling?.provisioningModel === 'FLEX_START') {
    return { state: 'pending', queued: true, access: null, detail: "it waits in Google's queue", deadline: null };
  }
  if (instance.status !== 'RUNNING') {
    return { state: 'pending', access: null, detail: instance.statusMessage ?? `Google says ${instance.status}`, deadline: ends };
  }
  const startedAt = timeOf(instance.lastStartTimestamp);
  const [access, takenBack] = await Promise.all([accessOf(look, instance), isTakenBack(api, ref, instance, signal)]);
  if (takenBack) return { state: 'ending', access: null, detail: takenBackText, cause: 'preempted', deadline: ends };
  return { state: 'running', access, detail: access === null ? 'it boots, and has not published its host keys yet' : null, deadline: ends, startedAt };
}

async function endingStatus({ api, ref, deadline, now, signal }: Look, instance: Instance, timer: number | null): Promise<MachineStatus> {
  const stopped = instance.status === 'TERMINATED' || instance.status === 'STOPPED'; // before that its time is billed
  const stoppedAt = stopped ? timeOf(instance.lastStopTimestamp) : null;
  const why = await whyGone(api, { ...ref, instanceId: instance.id }, { deadline, now, stoppedAt }, signal);
  const said = { detail: `Google says ${instance.status}`, ...whyEnding(instance.status, why) };
  return { state: 'ending', access: null, deadline: timer, ...said, endedAt: stopped ? why.endedAt : null };
}

/** What was switched off from inside is ended by no timer any more, and its disk bills on until somebody deletes it. */
function whyEnding(status: string, { cause, detail }: Ending): Partial<MachineStatus> {
  const known = cause ?? (status === 'TERMINATED' || status === 'STOPPED' ? 'off' : undefined);
  return { ...(detail === null ? {} : { detail }), ...(known === undefined ? {} : { cause: known }) };
}

async function diskStatus(api: GceApi, ref: InstanceRef, signal: AbortSignal | undefined): Promise<MachineStatus> {
  const { items, unreachable } = await api.listDisks(`name=${ref.disk}`, signal);
  const there = unreachable.length > 0 || items.some(({ name, zone }) => name === ref.disk && zone !== undefined && lastOf(zone) === ref.zone);
  return { state: there ? 'ending' : 'gone', access: null, detail: there ? 'the machine is gone, its disk is not' : null, deadline: null };
}
