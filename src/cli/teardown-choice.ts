/** What becomes of the machine when the job has ended, as the flags of `train` say it. */
import { GpuRunError } from '../core/errors.ts';

export interface TeardownFlags {
  readonly down?: boolean | undefined;
  readonly keep?: boolean | undefined;
}

/** @throws GpuRunError usage when the flags contradict each other */
export function teardownOf({ down, keep }: TeardownFlags): 'auto' | 'down' | 'keep' {
  if (down === true && keep === true) throw new GpuRunError('usage', '--down and --keep exclude each other.', { hints: ['Take one of them away.'] });
  if (down === true) return 'down';
  return keep === true ? 'keep' : 'auto';
}
