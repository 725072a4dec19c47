/** The same call again after a pause that grows, where its failure says that this may help. */
import { type GpuRunError, toGpuRunError } from '../core/errors.ts';
import type { RunContext } from './context.ts';

/** No single pause is longer. */
const longestMs = 60_000;

interface BackOffChoices {
  /** False: this failure must not lead to a second call. */
  readonly again: (failure: GpuRunError) => boolean;
  /** Whom the user is told to be waiting for. */
  readonly who: string;
  readonly context: Pick<RunContext, 'clock' | 'signal' | 'reporter'>;
}

/**
 * Repeats `call` while it fails with `retry: 'same'`, as long as the failure's `backOff` allows. Pauses vary by a quarter up and
 * down, so that many that were refused together do not come back together.
 * @throws GpuRunError the last failure; the signal's reason
 */
export async function backOff<T>(call: () => Promise<T>, { again, who, context }: BackOffChoices): Promise<T> {
  const { clock, signal, reporter } = context;
  const since = clock.now();
  for (let round = 0; ; round++) {
    try {
      return await call();
    } catch (error) {
      const failure = toGpuRunError(error);
      const { firstMs, atMostMs } = failure.backOff;
      const pause = Math.round(Math.max(firstMs, Math.min(firstMs * 2 ** round, longestMs)) * (0.75 + Math.random() / 2));
      if (failure.retry !== 'same' || !again(failure) || clock.now() + pause - since > atMostMs) throw error;
      reporter.report({ type: 'phase', phase: 'launch', status: 'begin', text: `${who}: ${shortly(failure)}; trying again in ${Math.ceil(pause / 1000)} s` });
      await clock.sleep(pause, signal);
    }
  }
}

/** The first sentence. */
function shortly({ message }: GpuRunError): string {
  return message.replace(/[.:]\s[\s\S]*$|\.\s*$/, '');
}
