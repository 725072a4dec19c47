/** Work that a dropped connection must not spoil: done again, from the start, over a new one. */
import { GpuRunError } from '../core/errors.ts';
import type { RunContext } from './context.ts';

const pausesMs = [200, 500, 1_000, 2_000, 5_000];

/** `work` has to be safe to repeat. Other failures than `connection`, and the last one, are thrown as they are. */
export async function retryConnection<T>(work: () => Promise<T>, context: Pick<RunContext, 'clock' | 'reporter'>): Promise<T> {
  for (const pause of pausesMs) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof GpuRunError) || error.code !== 'connection') throw error;
      context.reporter.report({ type: 'link', state: 'reconnecting', text: `${error.message} Trying again.` });
      await context.clock.sleep(pause);
    }
  }
  return work();
}
