/** Why a machine is gone or going: the zone's log of operations names what Google itself did, and what somebody ordered. */
import type { EndCause } from '../../core/machine.ts';
import type { GceApi } from './gce-api.ts';
import type { Instance } from './gce-resources.ts';
import type { InstanceRef } from './instance-ref.ts';

/** Google's timer ends a machine up to this long before and after its time, by clocks that differ. */
const timerSlackMs = 90_000;

export const takenBackText = 'Google took it back (preempted)';

/** The status of a Spot machine lags behind by up to a minute; the log of operations does not. */
export async function isTakenBack(api: GceApi, { zone }: InstanceRef, { id, scheduling }: Instance, signal?: AbortSignal): Promise<boolean> {
  if (scheduling?.provisioningModel !== 'SPOT') return false;
  return (await api.listOperations(zone, `operationType="compute.instances.preempted" AND targetId=${id}`, signal)).length > 0;
}

/** From the zone's log of operations, which outlives the machine; it names what Google itself did, and what somebody ordered. */
export async function whyGone(
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
