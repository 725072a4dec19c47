/** What `top` tells of a job over several connections: each record once. */
import { expect, test } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import type { JobSummary } from '../../../src/core/job.ts';
import type { RunnerClient } from '../../../src/runner/client.ts';
import type { TopEvent } from '../../../src/workflows/top-event.ts';
import { createFollower } from '../../../src/workflows/top-follow.ts';
import { machineEntry } from '../cli/entries.ts';
import { createFakeContext } from './fake-context.ts';

const summary = { id: 'job-20261121-k3v9xq', attempt: 1, state: 'running', createdAt: 1, startedAt: 1, logBytes: 0, records: 0 } as unknown as JobSummary;
const record = (n: number) => ({ kind: 'event', value: { type: 'records', records: [{ n, t: n, type: 'note', level: 'info', text: `note ${n}` }] } });

/** Has two records, and waits between them. */
function runnerOf(between: () => Promise<void>): RunnerClient {
  const open = (_: string, { record: from }: { readonly record: number }) => ({
    async *parts() {
      if (from < 1) yield record(1);
      await between();
      if (from < 2) yield record(2);
    },
    result: Promise.resolve(),
    heardBytes: () => 0,
    cancel() {},
  });
  return { call: async () => ({ jobs: [summary] }), open } as unknown as RunnerClient;
}

test('a record that was on its way when the connection broke is told on the next one', async () => {
  using fake = createFakeContext(() => ({}));
  const told: TopEvent[] = [];
  const follower = createFollower(machineEntry());
  const lookOver = async (over: AbortController, between: () => Promise<void>) => {
    const tell = (event: TopEvent) => void (over.signal.aborted || told.push(event));
    await follower.once(runnerOf(between), { ...fake.context, clock: systemClock, signal: over.signal }, tell);
  };
  const first = new AbortController();
  await expect(lookOver(first, async () => first.abort())).rejects.toThrow();
  await lookOver(new AbortController(), async () => {});
  expect(told.flatMap((event) => (event.type === 'record' ? [event.record.n] : []))).toEqual([1, 2]);
  expect(told.filter(({ type }) => type === 'job')).toHaveLength(1);
});

test('a job that was chosen while nobody heard it any more is named on the next connection', async () => {
  using fake = createFakeContext(() => ({}));
  const told: TopEvent[] = [];
  const follower = createFollower(machineEntry());
  const over = new AbortController();
  const tell = (event: TopEvent) => {
    if (event.type === 'jobs') over.abort();
    if (!over.signal.aborted) told.push(event);
  };
  await expect(
    follower.once(
      runnerOf(async () => {}),
      { ...fake.context, clock: systemClock, signal: over.signal },
      tell,
    ),
  ).rejects.toThrow();
  await follower.once(
    runnerOf(async () => {}),
    { ...fake.context, clock: systemClock },
    (event) => void told.push(event),
  );
  expect(told.map(({ type }) => type).slice(1)).toEqual(['machine', 'jobs', 'job', 'record', 'record']);
});
