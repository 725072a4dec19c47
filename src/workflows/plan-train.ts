/** `train --dry-run`: what `up` would do, and how much there is to be synced. */
import type { RunContext } from './context.ts';
import { measureSync } from './preview-sync.ts';
import type { PushInput } from './push.ts';
import type { SyncTotals } from './push-once.ts';
import { planUp, type UpInput, type UpPlan } from './up.ts';

export interface TrainPlan extends UpPlan {
  readonly sync: Pick<SyncTotals, 'files' | 'bytes'>;
}

/** @throws GpuRunError as `planUp`; `bad-input` and `sync` as `push` */
export async function planTrain(up: UpInput, push: PushInput, context: RunContext): Promise<TrainPlan> {
  const sync = await measureSync(push, context);
  return { ...(await planUp(up, context)), sync };
}
