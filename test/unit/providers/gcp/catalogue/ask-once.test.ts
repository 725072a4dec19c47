import { describe, expect, test } from 'vitest';
import { sharedCalls } from '../../../../../src/providers/gcp/catalogue/ask-once.ts';
import { createFakeClock } from '../../../../../src/testing/fake-clock.ts';

describe('calls that are shared', () => {
  /** Answers with how often it was called, when it is let. */
  function counter() {
    const state = { calls: 0, signals: [] as AbortSignal[], release: () => undefined as unknown };
    const gate = new Promise<void>((resolve) => {
      state.release = resolve;
    });
    const ask = async (signal: AbortSignal) => {
      state.calls += 1;
      state.signals.push(signal);
      const call = state.calls;
      await gate;
      return call;
    };
    return { state, ask };
  }

  test('one call for all that ask in time, by key', async () => {
    const clock = createFakeClock();
    const shared = sharedCalls(clock);
    const { state, ask } = counter();
    state.release();
    expect(await Promise.all([shared('a', 1000, ask, undefined), shared('a', 1000, ask, undefined), shared('b', 1000, ask, undefined)])).toEqual([1, 1, 2]);
    await clock.jump(999);
    expect(await shared('a', 1000, ask, undefined)).toBe(1);
    await clock.jump(1);
    expect(await shared('a', 1000, ask, undefined)).toBe(3);
  });

  test('one still under way is joined however long it takes', async () => {
    const clock = createFakeClock();
    const shared = sharedCalls(clock);
    const { state, ask } = counter();
    const first = shared('a', 1000, ask, undefined);
    await clock.jump(5000);
    const second = shared('a', 1000, ask, undefined);
    state.release();
    expect(await Promise.all([first, second])).toEqual([1, 1]);
  });

  test('who leaves takes nothing from the others; when the last has left, the call ends', async () => {
    const shared = sharedCalls(createFakeClock());
    const { state, ask } = counter();
    const [one, two] = [new AbortController(), new AbortController()];
    const waits = [shared('a', 1000, ask, one.signal), shared('a', 1000, ask, two.signal)];
    const outcomes = Promise.allSettled(waits);
    one.abort('first');
    await expect(waits[0]).rejects.toBe('first');
    expect(state.signals[0]?.aborted).toBe(false);
    two.abort('second');
    await expect(waits[1]).rejects.toBe('second');
    expect(state.signals[0]?.aborted).toBe(true);
    await outcomes;
    state.release();
    expect(await shared('a', 1000, ask, undefined)).toBe(2);
    await expect(shared('a', 1000, ask, AbortSignal.abort('gone'))).rejects.toBe('gone');
    expect(state.calls).toBe(2);
  });

  test('a failure reaches all that wait, and is not kept', async () => {
    const shared = sharedCalls(createFakeClock());
    const refuse = () => Promise.reject(new Error('no'));
    const outcomes = await Promise.allSettled([shared('a', 1000, refuse, undefined), shared('a', 1000, refuse, undefined)]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await shared('a', 1000, async () => 7, undefined)).toBe(7);
  });
});
