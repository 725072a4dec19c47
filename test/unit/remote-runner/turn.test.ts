/** Whose turn it is, over queues that run in a moment: a small machine of the test's own, with kills of whoever serves. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { GrantedGpu } from '../../../remote-runner/grant.ts';
import { type Holding, mostShortMs, type Stock, turnOf, type Waiting } from '../../../remote-runner/turn.ts';

const gpusOf = (count: number): GrantedGpu[] => Array.from({ length: count }, (_, index) => ({ index, uuid: `GPU-${index}`, name: 'NVIDIA L4' }));
const stockOf = (count: number, stuck: readonly (readonly [string, string])[] = []): Stock => ({
  gpus: gpusOf(count),
  problem: null,
  stuck: () => new Map(stuck),
});
const waiting = (gpus: number | null, more: Partial<Waiting> = {}): Waiting => ({ gpus, needsSetup: () => false, shortMs: 0, ...more });
const holding = (id: string, gpus: readonly number[] | null, inSetup = false): Holding => ({
  id,
  name: id,
  gpus: gpus?.map((index) => gpusOf(8)[index] as GrantedGpu) ?? null,
  inSetup,
});

describe('the first in line', () => {
  test.each<[string, Waiting, readonly Holding[], Stock | null, unknown]>([
    ['starts alone', waiting(null), [], null, { kind: 'start', gpus: null }],
    ['wants the whole machine', waiting(null), [holding('a', [0])], stockOf(2), { kind: 'wait', why: 'the machine to itself; a runs' }],
    ['starts beside another', waiting(1), [holding('a', [0])], stockOf(2), { kind: 'start', gpus: [gpusOf(2)[1]] }],
    ['wants more than is free', waiting(2), [holding('a', [1])], stockOf(2), { kind: 'wait', why: '2 GPUs, of which 1 is free; a runs' }],
    ['is behind one that has all', waiting(1), [holding('a', null)], null, { kind: 'wait', why: 'a, which has the machine to itself' }],
    ['is behind a setup', waiting(1), [holding('a', [0], true)], stockOf(2), { kind: 'wait', why: 'the setup of a' }],
    [
      'has a setup of its own',
      waiting(1, { needsSetup: () => true }),
      [holding('a', [0])],
      stockOf(2),
      { kind: 'wait', why: expect.stringContaining('setup') },
    ],
    ['runs its setup alone', waiting(1, { needsSetup: () => true }), [], stockOf(2), { kind: 'start', gpus: [gpusOf(2)[0]] }],
    ['does not know the GPUs', waiting(1), [], null, { kind: 'ask' }],
    ['sees too few', waiting(3), [], stockOf(2), { kind: 'short', over: false, why: '3 GPUs: the machine shows 2' }],
    ['has seen too few for long', waiting(3, { shortMs: mostShortMs }), [], stockOf(2), { kind: 'short', over: true, why: expect.any(String) }],
    ['lets others end first', waiting(3, { shortMs: mostShortMs }), [holding('a', [0])], stockOf(2), { kind: 'short', over: false, why: expect.any(String) }],
    ['avoids what is stuck', waiting(1), [], stockOf(2, [['GPU-0', 'old']]), { kind: 'start', gpus: [gpusOf(2)[1]] }],
    [
      'needs what is stuck',
      waiting(2),
      [],
      stockOf(2, [['GPU-0', 'old']]),
      { kind: 'short', over: false, why: expect.stringContaining('processes of old could not') },
    ],
  ])('%s', (_, next, held, stock, turn) => expect(turnOf(next, held, stock)).toEqual(turn));
});

interface Ordered {
  readonly gpus: number | null;
  readonly setup: string | null;
  readonly lasts: number;
}

const anyJob = (most: number): fc.Arbitrary<Ordered> =>
  fc.record({
    gpus: fc.option(fc.integer({ min: 1, max: most }), { freq: 4 }),
    setup: fc.option(fc.constantFrom('one', 'two')),
    lasts: fc.integer({ min: 1, max: 5 }),
  });

test.each([2, 8])('random queues on %i GPUs: none is given twice, the order is kept, no setup beside a job, all end', (most) => {
  fc.assert(
    fc.property(fc.array(anyJob(most), { minLength: 1, maxLength: 20 }), fc.array(fc.nat({ max: 3 }), { maxLength: 40 }), (jobs, moments) => {
      const started: number[] = [];
      const ended = new Set<number>();
      const running = new Map<number, { grant: readonly GrantedGpu[] | null; setupLeft: number; left: number }>();
      let setUp: string | null = null;
      let sideBySide = 0;
      const holdings = () =>
        [...running].map(([n, { grant, setupLeft }]): Holding => ({ id: `job-${n}`, name: `job-${n}`, gpus: grant, inSetup: setupLeft > 0 }));
      for (let step = 0; ended.size < jobs.length; step++) {
        if (step > 2_000) throw new Error('somebody starves');
        // What the serving process knew in memory is gone now and then; all that counts is what it finds again.
        for (let more = true; more; ) {
          const n = jobs.findIndex((_, index) => !ended.has(index) && !running.has(index));
          const job = jobs[n];
          if (job === undefined) break;
          const forgets = step % 3 === 0 && moments[step % moments.length] === 0;
          const needsSetup = job.setup !== null && job.setup !== setUp;
          const turn = turnOf(waiting(job.gpus, { needsSetup: () => needsSetup }), holdings(), forgets ? null : stockOf(most));
          more = turn.kind === 'start';
          if (turn.kind !== 'start') break;
          started.push(n);
          running.set(n, { grant: turn.gpus, setupLeft: needsSetup ? 1 : 0, left: job.lasts });
        }
        const held = [...running.values()].flatMap(({ grant }) => grant ?? gpusOf(most)).map(({ uuid }) => uuid);
        expect(new Set(held).size).toBe(held.length);
        for (const [n, { grant }] of running) if (grant !== null) expect(grant).toHaveLength(jobs[n]?.gpus ?? 0);
        if ([...running.values()].some(({ setupLeft }) => setupLeft > 0)) expect(running.size).toBe(1);
        sideBySide = Math.max(sideBySide, running.size);
        for (const [n, run] of running) {
          if (run.setupLeft > 0) {
            run.setupLeft -= 1;
            setUp = jobs[n]?.setup ?? null;
          } else run.left -= 1;
          if (run.left > 0) continue;
          running.delete(n);
          ended.add(n);
        }
      }
      expect(started).toEqual(jobs.map((_, n) => n));
      if (jobs.length > 1 && jobs.every(({ gpus, setup, lasts }) => gpus === 1 && setup === null && lasts > 1) && !moments.includes(0))
        expect(sideBySide).toBeGreaterThan(1);
    }),
    { numRuns: 150 },
  );
});
