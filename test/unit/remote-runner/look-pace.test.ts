/** How often the runner looks at a job that runs. */
import { describe, expect, test } from 'vitest';
import { createLookPace } from '../../../remote-runner/look-pace.ts';

/** A job whose news come at these times; what was done until `untilMs`. */
async function watchJob(news: readonly number[], untilMs: number, { isClose = false, moreUntil = 0 } = {}) {
  let at = 0;
  const pace = createLookPace(() => at);
  const looks: number[] = [];
  const reads: number[] = [];
  const wait = async (ms: number) => {
    const next = news.find((time) => time > at) ?? Number.POSITIVE_INFINITY;
    at = Math.min(at + ms, next);
  };
  while (at < untilMs) {
    looks.push(at);
    if (pace.isReadDue) {
      reads.push(at);
      pace.hasRead(looks.length < moreUntil);
    }
    await pace.wait({ wait }, isClose);
  }
  return { looks, reads };
}

describe('looks', () => {
  test('come each second at first and after news, and every five seconds while nothing happens', async () => {
    const { looks, reads } = await watchJob([20_500], 40_000);
    expect(looks.slice(0, 6)).toEqual([0, 1_000, 2_000, 3_000, 8_000, 13_000]);
    expect(looks.filter((at) => at >= 20_000)).toEqual([20_500, 21_500, 22_500, 23_500, 28_500, 33_500, 38_500]);
    expect(reads).toEqual(looks);
  });

  test('come each second while something is expected of which nothing is heard', async () => {
    expect((await watchJob([], 10_000, { isClose: true })).looks).toHaveLength(10);
  });

  test('come with each line of a job that prints on and on; its metrics are read twice a second, also the last ones', async () => {
    const news = Array.from({ length: 100 }, (_, index) => 1_000 + index * 20);
    const { looks, reads } = await watchJob(news, 10_000);
    expect(news.every((at) => looks.includes(at))).toBe(true);
    const gaps = reads.slice(1).map((at, index) => at - (reads[index] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(400);
    expect(reads.filter((at) => at >= 1_000 && at < 3_000).length).toBeGreaterThanOrEqual(4);
    const last = news.at(-1) ?? 0;
    expect(reads.some((at) => at >= last && at <= last + 500)).toBe(true);
  });

  test('go on at once while there is more to read', async () => {
    expect((await watchJob([], 500, { moreUntil: 50 })).reads).toHaveLength(50);
  });
});
