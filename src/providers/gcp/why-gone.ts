/** Why a machine is gone or going: the zone's log of operations names what Google itself did, and what somebody ordered. */
import type { EndCause } from '../../core/machine.ts';
import type { GceApi } from './gce-api.ts';
import type { Instance, Operation } from './gce-resources.ts';
import { type InstanceRef, timeOf } from './instance-ref.ts';

/** Google's timer ends a machine up to this long before and after its time, by clocks that differ. */
const timerSlackMs = 90_000;

export const takenBackText = 'Google took it back (preempted)';

/** The status of a Spot machine lags behind by up to a minute; the log of operations does not. */
export async function isTakenBack(api: GceApi, { zone }: InstanceRef, { id, scheduling }: Instance, signal?: AbortSignal): Promise<boolean> {
  if (scheduling?.provisioningModel !== 'SPOT') return false;
  return (await api.listOperations(zone, `operationType="compute.instances.preempted" AND targetId=${id}`, signal)).length > 0;
}

/** Milliseconds: what Google takes back may take so long to shut down, and is billed until it has. */
const shutdownMs = 30_000;

export interface Ending {
  readonly cause?: EndCause;
  readonly detail: string | null;
  /** When it had stopped, milliseconds since the epoch, as `MachineStatus` has it; null: nothing tells. */
  readonly endedAt: number | null;
}

export interface EndingLook {
  /** Milliseconds since the epoch. */
  readonly deadline: number;
  readonly now: number;
  /** The instance's own word on when it had stopped, milliseconds since the epoch; null: there is none. */
  readonly stoppedAt: number | null;
}

/**
 * From the zone's log of operations, which outlives the machine; it names what Google itself did, and what somebody ordered. The
 * first that ended it is the one that counts: what was switched off may be deleted much later.
 */
export async function whyGone(api: GceApi, ref: InstanceRef, { deadline, now, stoppedAt }: EndingLook, signal?: AbortSignal): Promise<Ending> {
  const newestFirst = ref.instanceId === null ? [] : await api.listOperations(ref.zone, `targetId=${ref.instanceId}`, signal);
  const started = newestFirst.findIndex(({ operationType }) => operationType.toLowerCase().endsWith('start'));
  const ends = newestFirst.slice(0, started === -1 ? undefined : started).filter(({ operationType }) => saidOf.has(operationType.toLowerCase()));
  const [first] = ends.toReversed();
  const endedAt = stoppedAt ?? Math.min(...ends.map(stopOf));
  const known = { endedAt: Number.isFinite(endedAt) ? endedAt : null };
  const system = ends.map(({ operationType }) => saidOf.get(operationType.toLowerCase())).find((said) => said !== undefined && said.cause !== 'deleted');
  if (system !== undefined) return { ...system, ...known };
  const at = timeOf(first?.insertTime) ?? stoppedAt ?? now;
  if (at >= deadline - timerSlackMs) return { cause: 'deadline', detail: "Google's timer ended it at its deadline", ...known };
  return { detail: null, ...saidOf.get(first?.operationType.toLowerCase() ?? ''), ...known };
}

/** What ends an instance, by the type of its operation in lower case. */
const saidOf: ReadonlyMap<string, { readonly cause: EndCause; readonly detail: string }> = new Map([
  ['compute.instances.preempted', { cause: 'preempted', detail: takenBackText }],
  ['compute.instances.hosterror', { cause: 'host-error', detail: 'the computer at Google that it ran on failed' }],
  ['compute.instances.terminateonhostmaintenance', { cause: 'host-error', detail: 'Google ended it for maintenance of the computer that it ran on' }],
  ['delete', { cause: 'deleted', detail: 'it was deleted by a request to the API' }],
  ['stop', { cause: 'deleted', detail: 'it was stopped by a request to the API, or from inside' }],
]);

/** From when on it had stopped, going by one operation; infinite while that is under way. */
function stopOf({ operationType, insertTime, endTime }: Operation): number {
  const done = timeOf(endTime) ?? Number.POSITIVE_INFINITY;
  return operationType.toLowerCase() === 'compute.instances.preempted' ? (timeOf(endTime) ?? timeOf(insertTime) ?? done) + shutdownMs : done;
}
