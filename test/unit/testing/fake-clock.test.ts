import { describe, expect, test } from 'vitest';
import { createFakeClock } from '../../../src/testing/index.ts';

describe('the fake clock', () => {
  test('wakes sleepers in the order of their time, each at its time', async () => {
    const clock = createFakeClock(1_000);
    const woken: string[] = [];
    const sleep = (ms: number) => void clock.sleep(ms).then(() => woken.push(`${ms} at ${clock.now()}`));
    sleep(30);
    sleep(10);
    sleep(20);
    expect(clock.sleeping).toBe(3);
    await clock.advance(25);
    expect(woken).toEqual(['10 at 1010', '20 at 1020']);
    expect(clock.now()).toBe(1_025);
    await clock.advance(5);
    expect(woken).toEqual(['10 at 1010', '20 at 1020', '30 at 1030']);
    expect(clock.sleeping).toBe(0);
  });

  test('a loop that sleeps again is woken again on the way', async () => {
    const clock = createFakeClock();
    let turns = 0;
    const loop = async () => {
      for (;;) {
        await clock.sleep(1_000);
        turns += 1;
      }
    };
    void loop();
    await clock.advance(60_000);
    expect(turns).toBe(60);
  });

  test('a jump wakes a loop once, at the new time', async () => {
    const clock = createFakeClock(0);
    const wokenAt: number[] = [];
    const loop = async () => {
      for (;;) {
        await clock.sleep(1_000);
        wokenAt.push(clock.now());
      }
    };
    void loop();
    await clock.jump(3_600_000);
    expect(wokenAt).toEqual([3_600_000]);
  });

  test('an aborted sleep rejects with the reason and is forgotten', async () => {
    const clock = createFakeClock();
    const abort = new AbortController();
    const sleeping = clock.sleep(1_000, abort.signal);
    abort.abort(new Error('enough'));
    await expect(sleeping).rejects.toThrow('enough');
    await expect(clock.sleep(1_000, abort.signal)).rejects.toThrow('enough');
    expect(clock.sleeping).toBe(0);
  });
});
