import { describe, expect, test } from 'vitest';
import { type Watched, watchMachine } from '../../../src/providers/local/watch-machine.ts';
import { createFakeClock } from '../../../src/testing/index.ts';

const minute = 60_000;

/** Starts watching; `state` is what the watcher sees, `result` what it has decided. */
function watch(changes: Partial<Watched> = {}) {
  const clock = createFakeClock();
  const start = clock.now();
  const state = { busy: false, there: true, looks: 0 };
  const stop = new AbortController();
  const result: { why: string | null; at: number } = { why: null, at: 0 };
  const watched: Watched = {
    deadline: () => start + 240 * minute,
    idleSeconds: null,
    isBusy: () => {
      state.looks += 1;
      return state.busy;
    },
    exists: () => state.there,
    ...changes,
  };
  const done = watchMachine(watched, clock, stop.signal).then((why) => Object.assign(result, { why, at: clock.now() - start }));
  return { clock, state, stop, result, done };
}

describe('watchMachine', () => {
  test('ends a machine at its deadline, busy or not', async () => {
    const { clock, state, result } = watch();
    state.busy = true;
    await clock.advance(240 * minute - 1);
    expect(result.why).toBeNull();
    await clock.advance(1);
    expect(result).toEqual({ why: 'it reached its deadline', at: 240 * minute });
  });

  test('ends within a second of waking up when the computer slept over the deadline', async () => {
    const { clock, result } = watch();
    await clock.advance(minute);
    await clock.jump(600 * minute);
    expect(result.why).toBe('it reached its deadline');
  });

  test('a deadline that is moved counts from then on', async () => {
    const moved = { to: 10 * minute };
    const begin = createFakeClock().now();
    const { clock, result } = watch({ deadline: () => begin + moved.to });
    await clock.advance(9 * minute);
    moved.to = 70 * minute;
    await clock.advance(60 * minute);
    expect(result.why).toBeNull();
    await clock.advance(2 * minute);
    expect(result.why).toBe('it reached its deadline');
  });

  test('a deadline that has passed already ends it at once', async () => {
    const { clock, result } = watch({ deadline: () => 1 });
    await clock.advance(0);
    expect(result.why).toBe('it reached its deadline');
  });

  test('ends a machine that was idle for its whole limit', async () => {
    const { clock, result } = watch({ idleSeconds: 900 });
    await clock.advance(15 * minute - 1);
    expect(result.why).toBeNull();
    await clock.advance(1);
    expect(result).toEqual({ why: 'it was idle for 900 seconds', at: 15 * minute });
  });

  test('counts idle time from the end of the last work, never too early, at most a twentieth late', async () => {
    const { clock, state, result } = watch({ idleSeconds: 900 });
    state.busy = true;
    await clock.advance(60 * minute + 12_345);
    state.busy = false;
    await clock.advance(15 * minute);
    expect(result.why).toBeNull();
    await clock.advance(45_000);
    expect(result.why).toBe('it was idle for 900 seconds');
  });

  test('a busy machine without pause lives on', async () => {
    const { clock, state, result } = watch({ idleSeconds: 60 });
    state.busy = true;
    await clock.advance(120 * minute);
    expect(result.why).toBeNull();
  });

  test('without an idle limit it never looks for jobs', async () => {
    const { clock, state, result } = watch();
    await clock.advance(200 * minute);
    expect(state.looks).toBe(0);
    expect(result.why).toBeNull();
  });

  test('a look that fails ends nothing; the next one counts', async () => {
    let broken = true;
    const isBusy = () => {
      if (broken) throw new Error('EMFILE: too many open files');
      return false;
    };
    const { clock, result } = watch({ idleSeconds: 60, isBusy });
    await clock.advance(10 * minute);
    expect(result.why).toBeNull();
    broken = false;
    await clock.advance(minute + 6_000);
    expect(result.why).toBe('it was idle for 60 seconds');
  });

  test('ends when its folder was removed', async () => {
    const { clock, state, result } = watch();
    await clock.advance(minute);
    state.there = false;
    await clock.advance(1_000);
    expect(result.why).toBe('its folder was removed');
  });

  test('rejects with the reason when it is told to end', async () => {
    const { stop, done } = watch();
    stop.abort(new Error('told to'));
    await expect(done).rejects.toThrow('told to');
  });
});
