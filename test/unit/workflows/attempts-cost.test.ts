/** What jobs of several attempts cost, on machines that they shared and lost: every bill is told once. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { JobEntry, PastAttempt } from '../../../src/core/job.ts';
import type { MachineEntry } from '../../../src/ledger/ledger.ts';
import { createFakeProvider } from '../../../src/testing/fake-provider.ts';
import { costOfAttempts } from '../../../src/workflows/attempts-cost.ts';
import { spansOf } from '../../../src/workflows/cost-spans.ts';
import { someIntent } from '../../contract/ledger-intent.ts';
import { createFakeContext, type FakeContext } from './fake-context.ts';

const hour = 3_600_000;
const half = { count: 1, of: 2 };

let fake: FakeContext;
let start: number;
beforeEach(() => {
  fake = createFakeContext((clock) => ({ local: createFakeProvider({ clock, id: 'local' }) }));
  start = fake.context.clock.now();
});
afterEach(() => fake[Symbol.dispose]());

/** A dollar an hour, taken back now. */
async function machineFor(id: string, hours: number): Promise<{ readonly gone: MachineEntry; readonly span: Pick<PastAttempt, 'startedAt' | 'endedAt'> }> {
  const { ledger, clock } = fake.context;
  const intent = someIntent(id, 'cats');
  const startedAt = clock.now();
  const offer = { ...intent.offer, gpu: { name: 'L4', count: 2 }, price: { perHour: 1, currency: 'USD' } as const };
  ledger.open({ ...intent, offer, deadline: startedAt + 99 * hour, billing: { minimumSeconds: 0, incrementSeconds: 0 } });
  ledger.note(id, { fact: 'launched', ref: { provider: 'local', id, name: 'cats', labels: {}, createdAt: startedAt, data: {} } });
  ledger.note(id, { fact: 'ready', access: { kind: 'own', host: '127.0.0.1', port: 9, user: 'u', hostKeys: [] } });
  await fake.clock.jump(hours * hour);
  const gone = ledger.note(id, { fact: 'gone', reason: 'its provider took it back (preempted)', at: clock.now(), leftovers: [] });
  return { gone, span: { startedAt, endedAt: clock.now() } };
}

function pastOn(machineId: string, span: Pick<PastAttempt, 'startedAt' | 'endedAt'>, gpus: JobEntry['gpus'] = null): PastAttempt {
  const end = { code: null, signal: null, reason: 'preempted', detail: null } as const;
  return { machineId, gpus, end, ...span, logBytes: 0, errBytes: 0, records: 0 };
}

function putJob(id: string, more: Partial<JobEntry>): JobEntry {
  const end = { code: 0, signal: null, reason: 'exit', detail: null } as const;
  const words = { machineName: 'cats', command: 'x', user: 'me', branch: null };
  const job: JobEntry = {
    id,
    machineId: 'b',
    ...words,
    state: 'ended',
    end,
    attempts: 2,
    createdAt: start,
    startedAt: null,
    endedAt: null,
    asOf: start,
    ...more,
  };
  fake.context.ledger.putJob(job);
  return job;
}

test('two jobs side by side that were taken back and went on side by side elsewhere tell both bills, and no more', async () => {
  const a = await machineFor('a', 2);
  const b = await machineFor('b', 1);
  const jobs = ['job-1', 'job-2'].map((id) => putJob(id, { gpus: half, ...b.span, earlier: [pastOn('a', a.span, half)] }));
  const costs = jobs.map((job) => costOfAttempts(job, b.gone, fake.context));
  expect(costs.map(({ usd }) => usd)).toEqual([expect.closeTo(1.5, 6), expect.closeTo(1.5, 6)]);
  expect(costs.map(({ gpuSeconds }) => gpuSeconds)).toEqual([3 * 3600, 3 * 3600]);
});

test('an attempt on half of a machine counts half, whatever the next one had', async () => {
  const a = await machineFor('a', 4);
  const [begun, over] = [a.span.startedAt ?? 0, a.span.endedAt ?? 0];
  putJob('job-1', { earlier: [pastOn('a', { startedAt: begun + hour, endedAt: over }, half)] });
  putJob('job-2', { machineId: 'a', attempts: 1, gpus: half, ...a.span });
  const { ledger, clock } = fake.context;
  const [bill] = ledger.bills();
  const spans = ledger.jobSpans().filter(({ machineId }) => machineId === 'a');
  if (bill === undefined) throw new Error('there is no bill');
  const sums: Record<string, number> = {};
  for (const { key, from, to, share } of spansOf(bill, 'job', spans, clock.now())) sums[key] = (sums[key] ?? 0) + ((to - from) / hour) * share;
  expect(sums).toEqual({ 'job-2': expect.closeTo(2, 6), 'job-1': expect.closeTo(1.5, 6), '(between jobs, cats)': expect.closeTo(0.5, 6) });
});
