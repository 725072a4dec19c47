/** Waiting for something that others wait for too. May import core. */
import { GpuRunError } from '../core/errors.ts';

/** The promise goes on without us when aborted, since others may share it; what it comes to is then given to `late`. */
export async function orInterrupted<T>(promise: Promise<T>, signal: AbortSignal | undefined, late?: (value: T) => void): Promise<T> {
  if (signal === undefined) return await promise;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(new GpuRunError('interrupted', 'Interrupted.', { cause: signal.reason }));
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } catch (error) {
    if (signal.aborted) promise.then(late, () => {});
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
