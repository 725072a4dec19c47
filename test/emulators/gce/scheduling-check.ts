/** The rules of `scheduling`. */
import { ApiError, badRequest, invalidValue } from './api-error.ts';
import type { World } from './world.ts';

export interface SchedulingOrder {
  readonly spot: boolean;
  /** Milliseconds; null: for ever. */
  readonly maxRunMs: number | null;
  readonly terminationAction: 'DELETE' | 'STOP';
}

interface Scheduling {
  readonly provisioningModel?: string;
  readonly instanceTerminationAction?: 'DELETE' | 'STOP';
  readonly maxRunDuration?: { readonly seconds?: string | number; readonly nanos?: number };
  readonly terminationTime?: string;
  readonly onHostMaintenance?: string;
  readonly automaticRestart?: boolean;
  readonly preemptible?: boolean;
}

const longestSeconds = 120 * 86_400;

export function checkScheduling(world: World, value: unknown, hasGpus: boolean): SchedulingOrder {
  const scheduling = (value ?? {}) as Scheduling;
  const model = scheduling.provisioningModel ?? 'STANDARD';
  if (hasGpus && scheduling.onHostMaintenance !== 'TERMINATE') {
    throw badRequest('Instances with guest accelerators do not support live migration.');
  }
  if (model === 'SPOT' || model === 'FLEX_START' || scheduling.preemptible === true) {
    if (scheduling.automaticRestart !== false) throw badRequest(`Scheduling must have automatic restart be false when using ${model}.`);
    if (scheduling.onHostMaintenance === 'MIGRATE') throw badRequest(`Scheduling must have on host maintenance be TERMINATE when using ${model}.`);
  }
  const seconds = runSeconds(world, scheduling);
  if (seconds !== null && scheduling.preemptible === true && model !== 'SPOT') throw badRequest('maxRunDuration is not supported for preemptible instances.');
  if (seconds !== null && scheduling.instanceTerminationAction === undefined) {
    throw badRequest('instanceTerminationAction must be specified when maxRunDuration or terminationTime is set.');
  }
  if (scheduling.instanceTerminationAction !== undefined && seconds === null && model !== 'SPOT') {
    throw badRequest(
      'You cannot specify a termination action for a VM instance that has the standard provisioning model (default) without a termination time.',
    );
  }
  if (model === 'FLEX_START' && (seconds === null || seconds < 600 || seconds > 7 * 86_400)) {
    throw invalidValue('resource.scheduling.maxRunDuration', seconds, 'FLEX_START needs 10 minutes to 7 days.');
  }
  return { spot: model === 'SPOT', maxRunMs: seconds === null ? null : seconds * 1000, terminationAction: scheduling.instanceTerminationAction ?? 'STOP' };
}

function runSeconds(world: World, { maxRunDuration, terminationTime }: Scheduling): number | null {
  if (terminationTime !== undefined) {
    if (maxRunDuration !== undefined) throw badRequest('At most one of maxRunDuration and terminationTime can be specified.');
    return (Date.parse(terminationTime) - world.clock.now()) / 1000;
  }
  if (maxRunDuration === undefined) return null;
  const seconds = Number(maxRunDuration.seconds ?? 0);
  if (seconds < 30 || seconds > longestSeconds) {
    const message = `Invalid value for field 'resource.scheduling.maxRunDuration': '${seconds}'. Max run duration must be between 30 seconds and 120 days.`;
    throw new ApiError({ status: 400, reason: 'invalid', message });
  }
  return seconds;
}
