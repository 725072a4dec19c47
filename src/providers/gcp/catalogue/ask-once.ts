/** One call for all that ask the same within some time: forty machines that start together ask once. */
import type { Clock } from '../../../core/clock.ts';

/**
 * `forMs`: how long an answer is good, from when it was asked. The call that is shared gets a signal of its own, which is aborted when
 * nobody waits for it any more. A failure is not kept. @throws what `ask` throws, the signal's reason
 */
export type SharedCalls = <T>(key: string, forMs: number, ask: (signal: AbortSignal) => Promise<T>, signal: AbortSignal | undefined) => Promise<T>;

interface Call {
  readonly at: number;
  readonly answer: Promise<unknown>;
  readonly end: AbortController;
  waiting: number;
  done: boolean;
}

export function sharedCalls(clock: Clock): SharedCalls {
  const calls = new Map<string, Call>();
  const begin = (key: string, ask: (signal: AbortSignal) => Promise<unknown>): Call => {
    const end = new AbortController();
    const call: Call = { at: clock.now(), answer: ask(end.signal), end, waiting: 0, done: false };
    calls.set(key, call);
    call.answer.then(
      () => {
        call.done = true;
      },
      () => forget(key, call),
    );
    return call;
  };
  const forget = (key: string, call: Call) => {
    if (calls.get(key) === call) calls.delete(key);
  };
  return async <T>(key: string, forMs: number, ask: (signal: AbortSignal) => Promise<T>, signal: AbortSignal | undefined): Promise<T> => {
    signal?.throwIfAborted();
    const before = calls.get(key);
    const call = before !== undefined && (!before.done || clock.now() - before.at < forMs) ? before : begin(key, ask);
    call.waiting += 1;
    try {
      return (await orAborted(call.answer, signal)) as T;
    } finally {
      call.waiting -= 1;
      if (call.waiting === 0 && !call.done) {
        forget(key, call);
        call.end.abort();
      }
    }
  };
}

function orAborted<T>(answer: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return answer;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
