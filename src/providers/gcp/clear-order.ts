/** Makes sure that nothing of a failed order stays. */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';
import { GpuRunError } from '../../core/errors.ts';
import { labelKeys } from '../../core/machine.ts';
import type { LaunchPlan } from '../provider.ts';
import type { GceApi } from './gce-api.ts';
import type { Instance } from './gce-resources.ts';
import { deleteCommand } from './instance-ref.ts';
import { timeLimit } from './time-limit.ts';
import { unfinishedOrder } from './unfinished-order.ts';

/** For all calls together, also after an interruption. */
const clearedWithinMs = 60_000;
/** Before a machine that is still there after its deletion is deleted again. */
const deleteAgainMs = 1_000;

export interface OrderToClear {
  readonly api: GceApi;
  readonly plan: LaunchPlan;
  readonly zone: string;
  readonly clock: Clock;
}

/**
 * `certain`: the order itself may still be under way, so a "there is none" is believed only when the zone's log has no order for it
 * that is unfinished.
 * @throws GpuRunError `still-billing` when that can't be made sure
 */
export async function clearOrder({ api, plan, zone, clock }: OrderToClear, how: 'look' | 'certain'): Promise<void> {
  using limit = timeLimit(clock, clearedWithinMs);
  const { signal } = limit;
  try {
    for (let deleted = false; ; ) {
      const there = await api.getInstance(zone, plan.id, signal);
      if (there !== null && !isOfPlan(there, plan)) return; // another's, who had the name before
      if (there !== null) {
        if (deleted) await clock.sleep(deleteAgainMs, signal);
        const deletion = await api.deleteInstance(zone, plan.id, randomUUID(), signal);
        if (deletion !== null) await api.waitOperation(deletion, signal);
        deleted = true;
        continue; // until there is none
      }
      if (how === 'look') return;
      const order = await unfinishedOrder(api, zone, plan.id, signal);
      if (order === null) return;
      await api.waitOperation(order, signal);
    }
  } catch (error) {
    const why = signal.aborted ? (signal.reason as Error).message : (error as Error).message;
    throw new GpuRunError('still-billing', `Whether Google has made '${plan.id}' in ${zone} could not be found out: ${why}`, {
      cause: error,
      hints: [deleteCommand({ project: api.project, zone, name: plan.id, disk: null })],
    });
  }
}

/** Made by this order, or by an earlier one for the same machine. */
export function isOfPlan({ labels }: Instance, plan: LaunchPlan): boolean {
  return labels?.[labelKeys.machine] === plan.id && labels[labelKeys.owner] === plan.labels[labelKeys.owner];
}
