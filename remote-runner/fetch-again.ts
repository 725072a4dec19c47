/** Short questions, asked again where the answer may be another one in a moment. */
import { fetchError, Interruption } from './fetch-error.ts';

export interface Patience {
  readonly signal: AbortSignal;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

const tries = 5;

/** `name`: what is asked for. @throws RunnerError `sync` when it has been asked often enough */
export async function askAgain<T>(name: string, { sleep, signal }: Patience, ask: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof Interruption)) throw error;
      if (attempt === tries) throw fetchError('sync', `${name} could not be asked for: ${error.message}.`, 'Run the command again.');
      await sleep(error.afterMs ?? 500 * 2 ** attempt, signal);
    }
  }
}
