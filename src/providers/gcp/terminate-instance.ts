/** Ends a machine, whatever state it is in; what Google says does not exist is gone. */
import { randomUUID } from 'node:crypto';
import { GpuRunError } from '../../core/errors.ts';
import type { Termination } from '../../core/machine.ts';
import type { GceApi } from './gce-api.ts';
import { GceError } from './gce-error.ts';
import { deleteCommand, type InstanceRef, isInstanceName } from './instance-ref.ts';
import { unfinishedOrder } from './unfinished-order.ts';

/**
 * Returns once Google has accepted the order.
 * @throws GpuRunError `still-billing` with the exact command when Google refuses or can't be asked
 */
export async function terminateInstance(api: GceApi, ref: InstanceRef, signal?: AbortSignal): Promise<Termination> {
  if (!isInstanceName(ref.name)) return { state: 'gone', leftovers: [] };
  try {
    if (ref.disk !== null) {
      const deletion = await api.deleteDisk(ref.zone, ref.disk, randomUUID(), signal);
      return { state: deletion === null || deletion.status === 'DONE' ? 'gone' : 'ending', leftovers: [] };
    }
    if (ref.instanceId !== null) {
      // Somebody may have made another one of the same name since.
      const there = await api.getInstance(ref.zone, ref.name, signal);
      if (there === null || there.id !== ref.instanceId) return { state: 'gone', leftovers: [] };
    }
    const deletion = await api.deleteInstance(ref.zone, ref.name, randomUUID(), signal);
    if (deletion !== null) return { state: 'ending', leftovers: [] };
    return { state: ref.instanceId === null && (await unfinishedOrder(api, ref.zone, ref.name, signal)) !== null ? 'ending' : 'gone', leftovers: [] };
  } catch (error) {
    if (!(error instanceof GceError)) throw error;
    throw new GpuRunError('still-billing', `Google did not take the order to end '${ref.name}' in ${ref.zone}: ${error.message}`, {
      cause: error,
      retry: 'same',
      hints: [deleteCommand(ref)],
    });
  }
}
