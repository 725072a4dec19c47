import { readdirSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { GpuRunError } from '../../../src/core/errors.ts';
import type { MachineRef } from '../../../src/core/machine.ts';
import type { LaunchPlan } from '../../../src/providers/provider.ts';
import { createFakeProvider, type FakeProvider } from '../../../src/testing/fake-provider.ts';
import { down } from '../../../src/workflows/down.ts';
import { planUp, up } from '../../../src/workflows/up.ts';
import { createFakeContext, type FakeContext, fakeInput } from './fake-context.ts';

let fake: FakeContext;
let provider: FakeProvider;
afterEach(() => fake[Symbol.dispose]());

function prepare(offers: Parameters<typeof createFakeProvider>[0]['offers'] = [{}], options: Partial<Parameters<typeof createFakeProvider>[0]> = {}): void {
  fake = createFakeContext((clock) => {
    provider = createFakeProvider({ clock, offers, ...options });
    return { fake: provider };
  });
}

const alive = () => provider.machines.filter(({ goneAt }) => goneAt === null);
const stockOut = () => new GpuRunError('no-capacity', 'Out of stock.', { retry: 'elsewhere' });

test('nothing fits: no-capacity, and nothing was written down', async () => {
  prepare([]);
  await expect(up(fakeInput, fake.context)).rejects.toMatchObject({ code: 'no-capacity' });
  expect(fake.context.ledger.list()).toEqual([]);
});

test('a machine that can never be reached is ended, and the next offer is tried', async () => {
  prepare([{ type: 'a' }, { type: 'b' }]);
  await expect(up(fakeInput, fake.context)).rejects.toMatchObject({ code: 'connection' });
  expect(provider.machines).toHaveLength(2);
  expect(alive()).toEqual([]);
  expect(fake.context.ledger.list({ live: true })).toEqual([]);
  expect(readdirSync(fake.context.home.keys)).toEqual([]);
});

test('retry `never` stops the search', async () => {
  prepare([{ type: 'a' }, { type: 'b' }]);
  provider.failNext('launch', new GpuRunError('not-allowed', 'The key may not create machines.'));
  await expect(up(fakeInput, fake.context)).rejects.toMatchObject({ code: 'not-allowed' });
  expect(provider.calls.filter((call) => call === 'launch')).toHaveLength(1);
});

test('an order whose answer was lost is found again and ended', async () => {
  prepare();
  provider.failNext('launch', stockOut(), { after: true });
  await expect(up(fakeInput, fake.context)).rejects.toMatchObject({ code: 'no-capacity' });
  expect(provider.machines).toHaveLength(1);
  expect(alive()).toEqual([]);
});

test('an end that is not confirmed is still-billing; the machine stays in the ledger and `down` ends it later', async () => {
  prepare();
  provider.failNext('terminate', new Error('503'));
  Object.assign(provider, { expect: ({ id, name, labels }: LaunchPlan) => ({ provider: 'fake', id, name, labels, createdAt: null, data: {} }) });
  Object.assign(provider, { endByHand: ({ id }: MachineRef) => `cloud delete ${id}` });
  const failure = await up(fakeInput, fake.context).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'still-billing' });
  expect((failure as GpuRunError).hints.join()).toContain('gpu-run down cats');
  expect((failure as GpuRunError).hints.join()).toContain('cloud delete cats-');
  expect(fake.context.ledger.list({ live: true })).toMatchObject([{ state: 'ending', name: 'cats' }]);
  expect(alive()).toHaveLength(1);
  expect(await down({ names: ['cats'], all: false }, fake.context)).toMatchObject({ machines: [{ state: 'gone' }], leftovers: [] });
  expect(alive()).toEqual([]);
});

test('aborted while it boots: unwound, whatever the signal', async () => {
  prepare([{}], { bootMs: 60_000 });
  const pending = up(fakeInput, fake.context);
  pending.catch(() => {});
  await fake.clock.advance(10_000);
  fake.abort.abort(new GpuRunError('interrupted', 'Interrupted.'));
  await expect(pending).rejects.toMatchObject({ code: 'interrupted' });
  expect(provider.machines).toHaveLength(1);
  expect(alive()).toEqual([]);
});

test('a boot that never ends is given up', async () => {
  prepare([{}], { bootMs: 24 * 3_600_000 });
  const pending = up(fakeInput, fake.context);
  pending.catch(() => {});
  await fake.clock.advance(11 * 60_000);
  await expect(pending).rejects.toMatchObject({ code: 'unfit', retry: 'elsewhere' });
  expect(alive()).toEqual([]);
});

test('the deadline is what the budget buys, and stands in labels and plan', async () => {
  prepare([{ price: { perHour: 2, currency: 'USD' } }]);
  const plan = await planUp({ ...fakeInput, budgetUsd: 1 }, fake.context);
  expect(plan.deadline - fake.clock.now()).toBe(30 * 60_000);
  expect(plan.worstCaseUsd).toBeCloseTo(1);
  expect(provider.calls).toEqual(['offers']);
  await up({ ...fakeInput, budgetUsd: 1 }, fake.context).catch(() => {});
  const launched = provider.machines[0];
  expect(launched?.plan.deadline).toBe(plan.deadline);
  expect(launched?.plan.labels).toMatchObject({ 'gpu-run-owner': 'tester-1', 'gpu-run-name': 'cats', 'gpu-run-expires': String(plan.deadline / 1000) });
});

test('the intent is in the ledger before the provider hears of it', async () => {
  prepare();
  const { ledger } = fake.context;
  const seen: string[] = [];
  const launch = provider.launch;
  Object.assign(provider, {
    launch: (...args: Parameters<typeof launch>) => {
      seen.push(...ledger.list({ live: true }).map(({ state, id }) => `${state} ${id === args[0].id}`));
      return launch(...args);
    },
  });
  await up(fakeInput, fake.context).catch(() => {});
  expect(seen).toEqual(['intent true']);
});
