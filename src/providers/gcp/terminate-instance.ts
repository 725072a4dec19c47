/** Ends a machine, whatever state it is in; what Google says does not exist is gone. */
import { randomUUID } from 'node:crypto';
import { GpuRunError } from '../../core/errors.ts';
import { labelKeys, type Termination } from '../../core/machine.ts';
import { removeRuleWhenLast } from './access/firewall.ts';
import { deleteDisksOf, deleteKeptDisks, keptDisks, orderDeletion } from './delete-disks.ts';
import type { GceApi } from './gce-api.ts';
import { GceError } from './gce-error.ts';
import type { Instance } from './gce-resources.ts';
import { deleteCommand, type InstanceRef, isInstanceName } from './instance-ref.ts';
import { unfinishedOrder } from './unfinished-order.ts';

/**
 * Returns once Google has accepted the order; where a disk of ours would stay, once that is deleted too, or named.
 * @throws GpuRunError `still-billing` with the exact command when Google refuses or can't be asked
 */
export async function terminateInstance(api: GceApi, ref: InstanceRef, signal?: AbortSignal): Promise<Termination> {
  if (!isInstanceName(ref.name)) return { state: 'gone', leftovers: [] };
  try {
    if (ref.rule !== null) {
      await removeRuleWhenLast(api, { name: ref.rule, owner: ref.owner, network: ref.network, ended: null }, signal);
      return { state: 'gone', leftovers: [] }; // or a machine has come that needs it
    }
    if (ref.disk !== null) {
      const deletion = await orderDeletion(api, ref.zone, ref.disk, signal);
      return { state: deletion === null ? 'gone' : 'ending', leftovers: [] }; // gone when it is not listed any more
    }
    const there = await api.getInstance(ref.zone, ref.name, signal);
    if (there === null) {
      if (await isUnderWay(api, ref, signal)) return { state: 'ending', leftovers: [] };
      return { state: 'gone', leftovers: await disksLeft(api, ref, signal) };
    }
    if (!isMeant(there, ref)) return { state: 'gone', leftovers: [] };
    const deletion = await api.deleteInstance(ref.zone, ref.name, randomUUID(), signal);
    if (deletion === null) return { state: 'gone', leftovers: await disksLeft(api, ref, signal) };
    const kept = keptDisks(there);
    return { state: 'ending', leftovers: kept.length === 0 ? [] : await deleteKeptDisks(api, ref, kept, deletion, signal) };
  } catch (error) {
    if (!(error instanceof GceError)) throw error;
    throw new GpuRunError('still-billing', `Google did not take the order to end '${ref.name}' in ${ref.zone}: ${error.message}`, {
      cause: error,
      retry: 'same',
      hints: [deleteCommand(ref)],
    });
  }
}

/** A machine that is gone is gone, whoever may list disks: `reap` finds one that stayed. */
async function disksLeft(api: GceApi, ref: InstanceRef, signal?: AbortSignal): Promise<readonly string[]> {
  try {
    return await deleteDisksOf(api, ref, signal);
  } catch (error) {
    if (error instanceof GceError) return [];
    throw error;
  }
}

/** Somebody may have made another one of the same name since, or before. */
function isMeant({ id, labels }: Instance, { instanceId, name }: InstanceRef): boolean {
  return instanceId === null ? labels?.[labelKeys.machine] === name : id === instanceId;
}

async function isUnderWay(api: GceApi, { instanceId, zone, name }: InstanceRef, signal?: AbortSignal): Promise<boolean> {
  return instanceId === null && (await unfinishedOrder(api, zone, name, signal)) !== null;
}
