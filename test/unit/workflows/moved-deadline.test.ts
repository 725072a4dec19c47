/** A deadline that was moved while somebody followed: whoever holds the entry from before goes by what the ledger says now. And what the jobs of one machine cost together. */
import { afterEach, expect, test } from 'vitest';
import type { JobEntry } from '../../../src/core/job.ts';
import type { MachineEntry } from '../../../src/ledger/ledger.ts';
import { createFakeProvider } from '../../../src/testing/fake-provider.ts';
import { jobCost, reachedDeadline } from '../../../src/workflows/after-job.ts';
import { wholeCost } from '../../../src/workflows/cost-egress.ts';
import { downReason } from '../../../src/workflows/end-reason.ts';
import { goneError } from '../../../src/workflows/reach-machine.ts';
import { billedSeconds } from '../../../src/workflows/report-cost.ts';
import { settleGone } from '../../../src/workflows/settle-gone.ts';
import { someIntent } from '../../contract/ledger-intent.ts';
import { createFakeContext, type FakeContext } from './fake-context.ts';

let fake: FakeContext;
afterEach(() => fake[Symbol.dispose]());
const hour = 3_600_000;

function ready(changes: object = {}): MachineEntry {
  fake = createFakeContext((clock) => ({ fake: createFakeProvider({ clock, id: 'fake' }) }));
  const { ledger, clock } = fake.context;
  const intent = someIntent('cats-1', 'cats');
  const offer = { ...intent.offer, provider: 'fake', price: { ...intent.offer.price, perHour: 1 }, egress: { perGb: 0.1 } as never };
  const billing = { minimumSeconds: 60, incrementSeconds: 1 };
  ledger.open({ ...intent, provider: 'fake', offer, deadline: clock.now() + hour, billing, ...changes });
  ledger.note('cats-1', { fact: 'launched', ref: { provider: 'fake', id: 'cats-1', name: 'cats', labels: {}, createdAt: clock.now(), data: {} } });
  return ledger.note('cats-1', { fact: 'ready', access: { kind: 'own', host: '127.0.0.1', port: 9, user: 'u', hostKeys: [] } });
}

test('it is booked to its real end, and its end is told as it was', async () => {
  const before = ready();
  const { ledger, clock } = fake.context;
  ledger.note('cats-1', { fact: 'deadline', deadline: before.deadline + 3 * hour });
  await fake.clock.jump(2 * hour);
  expect(await reachedDeadline(before, fake.context)).toBe(false);
  const settling = settleGone(before, 'its provider took it back (preempted)', fake.context);
  await fake.clock.advance(1_000);
  const gone = await settling;
  expect(goneError(before, 'the computer that it ran on failed', fake.context).code).toBe('lost');
  expect(goneError(before, downReason, fake.context)).toMatchObject({ code: 'lost', message: expect.stringContaining('was ended by `gpu-run down`') });
  if (gone === null) throw new Error('it is there');
  expect(billedSeconds(gone, clock.now()) / 3600).toBeCloseTo(2, 2);
});

test('what the jobs of one machine say that they cost adds up to its bill', async () => {
  const machine = ready({ forOneJob: true });
  const { ledger, clock } = fake.context;
  const start = clock.now();
  const jobFrom = (id: string, from: number, to: number) =>
    ({ id, machineId: 'cats-1', machineName: 'cats', createdAt: start, state: 'ended', startedAt: start + from, endedAt: start + to }) as JobEntry;
  const first = jobFrom('job-1', 60_000, 600_000);
  const last = jobFrom('job-2', 700_000, 900_000);
  ledger.putJob(first);
  ledger.putJob(last);
  ledger.note('cats-1', { fact: 'pulled', bytes: 1e9, job: 'job-1' });
  ledger.note('cats-1', { fact: 'pulled', bytes: 3e9, job: 'job-2' });
  await fake.clock.jump(1_000_000);
  const { usd } = jobCost(first, machine, fake.context);
  const gone = ledger.note('cats-1', { fact: 'gone', reason: 'job-2 ended', at: clock.now(), leftovers: [] });
  const rest = jobCost(last, gone, fake.context);
  expect(usd + rest.usd).toBeCloseTo(wholeCost(gone, clock.now()), 9);
  expect(rest.items[0]?.text).toContain('other jobs');
});
