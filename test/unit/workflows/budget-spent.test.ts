/** What a budget is for: a whole run, with what earlier attempts have cost. */
import { afterEach, expect, test } from 'vitest';
import { GpuRunError } from '../../../src/core/errors.ts';
import type { MachineEntry } from '../../../src/ledger/ledger.ts';
import { createFakeProvider, type FakeProvider, type FakeProviderOptions } from '../../../src/testing/fake-provider.ts';
import { spentByRun } from '../../../src/workflows/budget-spent.ts';
import { endReasonOf } from '../../../src/workflows/end-reason.ts';
import { planUp, up } from '../../../src/workflows/up.ts';
import { createFakeContext, type FakeContext, fakeInput } from './fake-context.ts';

let fake: FakeContext;
let provider: FakeProvider;
afterEach(() => fake[Symbol.dispose]());

const hour = 3_600_000;
const minute = 60_000;
const access = { kind: 'own', host: '127.0.0.1', port: 9, user: 'u', hostKeys: [] } as const;
const at = (perHour: number, type: string) => ({ type, price: { perHour, currency: 'USD' } as const });
const input = { ...fakeInput, budgetUsd: 5 };

/** Machines are billed for a minute at least, and take a minute to fail: nobody can be reached. */
function prepare(options: Partial<FakeProviderOptions> = {}): void {
  fake = createFakeContext((clock) => {
    provider = createFakeProvider({ clock, traits: { billingMinimumSeconds: 60 }, ...options });
    return { fake: provider };
  });
}

/** As if a machine of this name had been made, had run a job, and ended so. */
function past(
  name: string,
  ranMs: number,
  end: { readonly reason: string; readonly job?: 'lost' | 'preempted' | 'exit'; readonly ready?: boolean },
): MachineEntry {
  const { ledger, clock } = fake.context;
  const id = `${name}-${ledger.list({ name }).length}`;
  const spentBeforeUsd = spentByRun(name, fake.context);
  const offer = { provider: 'fake', region: null, zone: null, gpu: null, spot: true, asOf: 0, source: 'test', available: true, ...at(3.6, 'old') };
  const limits = { deadline: clock.now() + 4 * hour, idleSeconds: null, budgetUsd: 5, forOneJob: true };
  const who = { owner: 'o', labels: {}, requestId: id, template: null, user: 'u', branch: null, holder: fake.context.self };
  ledger.open({ id, name, provider: 'fake', offer, spentBeforeUsd, ...limits, ...who });
  ledger.note(id, { fact: 'launched', ref: { provider: 'fake', id, name, labels: {}, createdAt: null, data: {} } });
  if (end.ready !== false) ledger.note(id, { fact: 'ready', access });
  const now = clock.now();
  const known = { machineId: id, machineName: name, command: 'true', attempts: 1, user: 'u', branch: null, createdAt: now, startedAt: now, asOf: now };
  if (end.job !== undefined)
    ledger.putJob({ ...known, id: `job-${id}`, state: 'ended', endedAt: now + ranMs, end: { code: null, signal: null, reason: end.job, detail: null } });
  return ledger.note(id, { fact: 'gone', reason: end.reason, at: now + ranMs, leftovers: [] });
}

const failureOf = async (act: Promise<unknown>): Promise<GpuRunError> => {
  const failure = await act.catch((error: unknown) => error);
  if (!(failure instanceof GpuRunError)) throw new Error(`no GpuRunError: ${failure}`);
  return failure;
};

test.each([
  ['preempted', { reason: 'its provider took it back (preempted)', job: 'preempted' }, true],
  ['preempted before any job', { reason: 'its provider took it back (preempted)' }, true],
  ['lost with its job', { reason: 'it ended by itself', job: 'lost' }, true],
  ['never ready', { reason: 'start failed: no GPU', ready: false }, true],
  ['its job ended', { reason: 'job-1 ended', job: 'exit' }, false],
  ['taken down under its job', { reason: 'down', job: 'lost' }, false],
  ['taken down while it started', { reason: 'down', ready: false }, false],
  ['reaped', { reason: 'reap: past its deadline', job: 'lost' }, false],
  ['switched off: idle or stalled', { reason: endReasonOf({ cause: 'off', detail: null }), job: 'lost' }, false],
  ['its time was over', { reason: 'its time was over', job: 'lost' }, false],
  ['ended by hand at its provider', { reason: 'somebody ended it, and not gpu-run on this computer', job: 'lost' }, false],
] as const)('%s: does the run go on?', async (_what, end, goesOn) => {
  prepare();
  past('cats', hour, end);
  await fake.clock.advance(hour);
  expect(spentByRun('cats', fake.context)).toBeCloseTo(goesOn ? 3.6 : 0, 9);
  expect(spentByRun('dogs', fake.context)).toBe(0);
});

test('a machine that was there until its deadline, or long ago, is none of this run', async () => {
  prepare();
  past('cats', 4 * hour - minute, { reason: 'it ended by itself', job: 'lost' });
  await fake.clock.advance(4 * hour);
  expect(spentByRun('cats', fake.context)).toBe(0);
  past('cats', minute, { reason: 'it ended by itself', job: 'lost' });
  await fake.clock.advance(minute);
  expect(spentByRun('cats', fake.context)).toBeCloseTo(0.06, 9);
  await fake.clock.advance(12 * hour);
  expect(spentByRun('cats', fake.context)).toBeCloseTo(0.06, 9);
  await fake.clock.advance(1);
  expect(spentByRun('cats', fake.context)).toBe(0);
});

test('of several machines of a run all are counted; orders that were refused in between change nothing', async () => {
  prepare({ offers: [at(2, 'new')], refuse: () => new GpuRunError('no-capacity', 'None.', { retry: 'elsewhere', leftBehind: 'nothing' }) });
  past('cats', hour / 2, { reason: 'its provider took it back (preempted)', job: 'preempted' });
  await fake.clock.advance(hour / 2);
  past('cats', hour / 4, { reason: 'its provider took it back (preempted)', job: 'preempted' });
  await fake.clock.advance(hour / 4);
  expect((await failureOf(up(input, fake.context))).code).toBe('no-capacity');
  expect(spentByRun('cats', fake.context)).toBeCloseTo(2.7, 9);
  const [order] = provider.orders;
  expect(order?.deadline).toBe(fake.clock.now() + (2.3 / 2) * hour);
  expect((await planUp(input, fake.context)).worstCaseUsd).toBeCloseTo(2.3, 6);
});

test('zones that were tried and billed shorten the deadline of the next, in one call', async () => {
  prepare({ offers: [at(60, 'a'), at(60, 'b'), at(60, 'c')] });
  await failureOf(up({ ...input, budgetUsd: 3.5 }, fake.context)); // each is billed for a minute: a dollar
  expect(provider.orders.map(({ deadline }) => deadline - fake.clock.now())).toEqual([210_000, 150_000, 90_000]);
  expect(fake.context.ledger.list({ name: 'cats' }).map(({ spentBeforeUsd = 0 }) => spentBeforeUsd)).toEqual([2, 1, 0]);
  expect(spentByRun('cats', fake.context)).toBe(3);
});

test('when the rest buys nothing more: 91, before anything is ordered, with what was spent', async () => {
  prepare({ offers: [at(60, 'a'), at(60, 'b'), at(60, 'c'), at(60, 'd')] });
  const failure = await failureOf(up({ ...input, budgetUsd: 2.5 }, fake.context));
  expect(failure).toMatchObject({ code: 'budget', message: expect.stringContaining("budget of $2.50 for 'cats' earlier attempts have spent $2.00") });
  expect(failure.message).toContain('the rest buys 30 s, and 60 s are billed at least');
  expect(failure.hints.join()).toContain('--budget');
  expect(failure.attempts.map(({ type, error }) => [type, error?.code])).toEqual([
    ['a', 'connection'],
    ['b', 'connection'],
    [null, 'budget'],
  ]);
  expect(provider.machines).toHaveLength(2);
  const orders = provider.orders.length;
  expect((await failureOf(up({ ...input, budgetUsd: 2 }, fake.context))).message).toContain('nothing is left');
  expect((await failureOf(planUp({ ...input, budgetUsd: 2 }, fake.context))).code).toBe('budget');
  expect(provider.orders).toHaveLength(orders);
  await failureOf(up({ ...input, budgetUsd: 3 }, fake.context)); // more money: the run goes on with it
  expect(provider.orders).toHaveLength(orders + 1);
});

test('offers beyond the rest of the budget are passed over; one that costs nothing never is', async () => {
  prepare({ offers: [at(600, 'dear'), at(60, 'cheap')] });
  await failureOf(up({ ...input, budgetUsd: 1.5 }, fake.context));
  expect(provider.orders.map(({ offer }) => offer.type)).toEqual(['cheap']);
  fake[Symbol.dispose]();
  prepare({ offers: [at(0, 'free')] });
  await failureOf(up({ ...input, budgetUsd: 0.01 }, fake.context));
  expect(provider.orders.map(({ deadline }) => deadline - fake.clock.now())).toEqual([4 * hour]);
});
