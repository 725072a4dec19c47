/** Compute Engine fails at each single call of `up` and `down`, in each way, once or for good: nothing is called gone that is not. */
import { expect, test } from 'vitest';
import { type ApiFailure, callsWithoutFailure, failureKinds, liveThrough } from '../support/api-failures.ts';
import { prepareRigs } from '../unit/providers/gcp/up-rig.ts';

prepareRigs();

test.each<ApiFailure['lasts']>(['once', 'on'])(
  'each call of up and down, failing in each way (%s)',
  async (lasts) => {
    const all = await callsWithoutFailure();
    const wrong: string[] = [];
    const ends: Record<string, number> = {};
    let runs = 0;
    for (const kind of failureKinds) {
      for (const [index, id] of all.entries()) {
        runs++;
        try {
          const end = (await liveThrough({ kind, at: index + 1, lasts })).join(', ');
          ends[end] = (ends[end] ?? 0) + 1;
        } catch (error) {
          wrong.push(`call ${index + 1} (${id}) ${kind}, ${lasts}: ${(error as Error).message}`);
        }
      }
    }
    console.log(`${all.length} calls, ${runs} runs (${lasts}); ends of up and down: ${JSON.stringify(ends)}`);
    expect(wrong).toEqual([]);
  },
  900_000,
);
