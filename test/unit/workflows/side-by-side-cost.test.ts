/** What jobs cost that share a machine: by their GPUs, and together never more than the bill. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { JobSpan, MachineBill } from '../../../src/ledger/ledger.ts';
import { spansOf } from '../../../src/workflows/cost-spans.ts';

const hour = 3_600_000;
const bill = {
  id: 'm-1',
  name: 'm',
  state: 'gone',
  createdAt: 0,
  launchedAt: null,
  providerCreatedAt: null,
  readyAt: 1,
  begunAt: null,
  endedAt: 10 * hour,
  deadline: 20 * hour,
  borrowed: false,
  rule: { minimumSeconds: 0, incrementSeconds: 0 },
  user: 'me',
} as unknown as MachineBill;
const jobOf = (id: string, from: number, to: number | null, share: number): JobSpan => ({
  id,
  machineId: 'm-1',
  startedAt: from * hour,
  endedAt: to === null ? null : to * hour,
  user: 'me',
  branch: null,
  commit: null,
  share,
});

/** Hours of the whole machine, by whom they belong to. */
function hours(jobs: readonly JobSpan[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { key, from, to, share } of spansOf(bill, 'job', jobs, 10 * hour)) sums[key] = (sums[key] ?? 0) + ((to - from) / hour) * share;
  return sums;
}

test('two jobs on half of the GPUs each cost half each while both run; what no job has is nobody’s', () => {
  expect(hours([jobOf('a', 1, 5, 0.5), jobOf('b', 3, 9, 0.5)])).toEqual({ a: 2, b: 3, '(between jobs, m)': 5 });
});

test('one whose end nobody heard of makes room for those that can only have begun after it', () => {
  expect(hours([jobOf('lost', 1, null, 0.5), jobOf('a', 1, 9, 0.5), jobOf('b', 3, 9, 0.5)])).toEqual({ lost: 1, a: 4, b: 3, '(between jobs, m)': 2 });
  expect(hours([jobOf('lost', 1, null, 0.5), jobOf('whole', 2, 4, 1)])).toEqual({ lost: 0.5, whole: 2, '(between jobs, m)': 7.5 });
});

test('whatever jobs there are, and whatever clocks say, the parts are the whole at every moment', () => {
  const someJob = fc.record({ from: fc.integer({ min: -2, max: 12 }), ms: fc.option(fc.integer({ min: -1, max: 12 })), gpus: fc.integer({ min: 1, max: 8 }) });
  fc.assert(
    fc.property(fc.array(someJob, { maxLength: 12 }), (some) => {
      const jobs = some
        .map(({ from, ms, gpus }, n) => jobOf(`job-${n}`, from, ms === null ? null : from + ms, gpus / 8))
        .sort((a, b) => a.startedAt - b.startedAt);
      const spans = spansOf(bill, 'job', jobs, 10 * hour);
      for (let at = 0.5 * hour; at < 10 * hour; at += hour) {
        const there = spans.filter(({ from, to }) => from <= at && at < to);
        expect(there.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 6);
        for (const { share } of there) expect(share).toBeGreaterThan(0);
      }
      expect(Object.values(hours(jobs)).reduce((sum, part) => sum + part, 0)).toBeCloseTo(10, 6);
    }),
    { numRuns: 200 },
  );
});
