/** What `up` tries after a failure, and what that costs. The provider's promises are the fake's; the failures are those of clouds. */
import { readdirSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { GpuRunError, type GpuRunErrorOptions } from '../../../src/core/errors.ts';
import type { Offer } from '../../../src/core/offer.ts';
import type { LaunchPlan } from '../../../src/providers/provider.ts';
import { createFakeProvider, type FakeProvider, type FakeProviderOptions } from '../../../src/testing/fake-provider.ts';
import { reportCost } from '../../../src/workflows/report-cost.ts';
import { status } from '../../../src/workflows/status.ts';
import { up } from '../../../src/workflows/up.ts';
import { createFakeContext, type FakeContext, fakeInput } from './fake-context.ts';

let fake: FakeContext;
let provider: FakeProvider;
let other: FakeProvider;
afterEach(() => fake[Symbol.dispose]());

type Refuse = (plan: LaunchPlan, order: number) => Error | null;

function prepare(offers: readonly Partial<Offer>[], refuse: Refuse, options: Partial<FakeProviderOptions> = {}): void {
  let order = 0;
  fake = createFakeContext((clock) => {
    provider = createFakeProvider({ clock, offers, expects: true, refuse: (plan) => refuse(plan, ++order), ...options });
    other = createFakeProvider({ clock, id: 'other', offers: [{ type: 'box' }] });
    return { fake: provider, other };
  });
}

/** `count` zones, three a region, best first. */
function zones(count: number): Partial<Offer>[] {
  return Array.from({ length: count }, (_, index) => {
    const region = `land${Math.floor(index / 3)}`;
    return { region, zone: `${region}-${'abc'[index % 3]}`, type: 'g2-standard-4', gpu: { name: 'L4', count: 1 } };
  });
}

const fails = (code: GpuRunError['code'], message: string, options: GpuRunErrorOptions) =>
  new GpuRunError(code, message, { leftBehind: 'nothing', ...options });
const outOfStock = ({ offer }: LaunchPlan, betterZones: readonly string[] = []) =>
  fails('no-capacity', `No ${offer.type} is to be had in ${offer.zone} now.`, { retry: 'elsewhere', elsewhere: { rulesOut: 'zone', betterZones } });
const overQuota = ({ offer }: LaunchPlan) =>
  fails('quota', `Quota NVIDIA_L4_GPUS is used up in ${offer.region}.`, {
    retry: 'elsewhere',
    elsewhere: { rulesOut: 'region' },
    hints: [`Ask for more in ${offer.region}.`],
  });
const busy = (options: GpuRunErrorOptions = {}) => fails('quota', 'Too many calls a minute.', { retry: 'same', ...options });

const failureOf = async (input = fakeInput): Promise<GpuRunError> => {
  const failure = await up(input, fake.context).catch((error: unknown) => error);
  if (!(failure instanceof GpuRunError)) throw new Error(`no GpuRunError: ${failure}`);
  return failure;
};
const zonesTried = () => provider.orders.map(({ offer }) => offer.zone);
const notes = () => fake.reports.flatMap((report) => (report.type === 'note' ? [report.text] : []));
const count = (call: string) => provider.calls.filter((each) => each === call).length;
const alive = () => [...provider.machines, ...other.machines].filter(({ goneAt }) => goneAt === null);

test('30 zones out of stock: one order each, no other call, and the 31st is launched', async () => {
  prepare(zones(31), (plan, order) => (order <= 30 ? outOfStock(plan) : null));
  const failure = await failureOf(); // the fake can't be reached over SSH
  expect(zonesTried()).toEqual(zones(31).map(({ zone }) => zone));
  expect(provider.machines).toHaveLength(1);
  expect(count('launch')).toBe(31);
  expect(count('terminate')).toBe(1); // of the machine that was made
  expect(count('list')).toBe(0);
  expect(failure.attempts).toHaveLength(31);
  expect(failure.attempts.map(({ zone }) => zone)).toEqual(zonesTried());
  expect(notes()[0]).toBe('land0-a has no L4 now; trying land0-b');
  expect(notes()).toHaveLength(30);
  expect(readdirSync(fake.context.home.keys)).toEqual([]);
  expect(alive()).toEqual([]);
});

test('orders that were refused are no machines: neither in status nor in cost', async () => {
  prepare(zones(3), (plan) => outOfStock(plan));
  expect(await failureOf()).toMatchObject({ code: 'no-capacity' });
  await fake.clock.advance(3_600_000);
  expect((await status({ refresh: false, all: true }, fake.context)).machines).toEqual([]);
  expect(reportCost({ by: 'machine', since: null }, fake.context)).toMatchObject({ totalUsd: 0, items: [], failed: { count: 0 } });
  expect(fake.context.ledger.list()).toMatchObject([{ neverMade: 'no-capacity', state: 'gone', leftovers: [] }, {}, {}]);
});

test('a quota of the region rules out its other zones; the error names quota before capacity, and what to ask for', async () => {
  prepare(zones(9), (plan) => (plan.offer.region === 'land1' ? overQuota(plan) : outOfStock(plan)));
  const failure = await failureOf();
  expect(zonesTried()).toEqual(['land0-a', 'land0-b', 'land0-c', 'land1-a', 'land2-a', 'land2-b', 'land2-c']);
  expect(failure).toMatchObject({ code: 'quota', hints: ['Ask for more in land1.'] });
  expect(failure.message).toContain('in 7 tries: out of stock 6 times, over quota once');
  expect(notes()).toContain('land1: the quota allows no more L4; trying land2-a');
  expect(failure.attempts[3]).toEqual({
    provider: 'fake',
    region: 'land1',
    zone: 'land1-a',
    type: 'g2-standard-4',
    error: { code: 'quota', message: 'Quota NVIDIA_L4_GPUS is used up in land1.', hints: ['Ask for more in land1.'] },
  });
});

test('what holds for the whole provider ends it at once', async () => {
  prepare(zones(9), () => fails('quota', 'GPUS_ALL_REGIONS is 0.', { retry: 'elsewhere', elsewhere: { rulesOut: 'provider' } }));
  expect(await failureOf()).toMatchObject({ code: 'quota', message: 'GPUS_ALL_REGIONS is 0.' });
  expect(count('launch')).toBe(1);
});

test('a name that is taken in one place is none in the next; a bug of ours ends it all', async () => {
  prepare(zones(9), (_plan, order) => (order === 1 ? fails('conflict', 'There is one already.', { retry: 'elsewhere' }) : new TypeError('x is undefined')));
  expect(await failureOf({ ...fakeInput, providers: ['fake', 'other'] })).toMatchObject({
    code: 'internal',
    attempts: [{ zone: 'land0-a' }, { zone: 'land0-b' }],
  });
  expect(zonesTried()).toEqual(['land0-a', 'land0-b']);
  expect(other.orders).toEqual([]);
});

test('zones that the provider names are tried first, in its order', async () => {
  prepare(zones(9), (plan, order) => outOfStock(plan, order === 1 ? ['land2-c', 'nowhere-a', 'land1-b'] : []));
  await failureOf();
  expect(zonesTried()).toEqual(['land0-a', 'land2-c', 'land1-b', 'land0-b', 'land0-c', 'land1-a', 'land1-c', 'land2-a', 'land2-b']);
});

test('a zone without stock is asked last for half an hour', async () => {
  prepare(zones(3), (plan) => (plan.offer.zone === 'land0-a' ? outOfStock(plan) : fails('not-allowed', 'No.', {})));
  await failureOf();
  await failureOf();
  expect(zonesTried()).toEqual(['land0-a', 'land0-b', 'land0-b']);
  await fake.clock.advance(31 * 60_000);
  await failureOf();
  expect(zonesTried().slice(3)).toEqual(['land0-a', 'land0-b']);
});

test('`same` backs off in place, with the same order, and says so', async () => {
  prepare(zones(2), (_plan, order) => (order <= 3 ? busy() : null));
  const pending = failureOf();
  await fake.clock.advance(60_000);
  await pending;
  const [first, ...again] = provider.orders;
  expect(again.slice(0, 3)).toEqual([first, first, first]);
  expect(provider.machines[0]?.plan).toEqual(first);
  expect(fake.reports).toContainEqual({
    type: 'phase',
    phase: 'launch',
    status: 'begin',
    text: expect.stringMatching(/^fake land0-a: Too many calls a minute; trying again in \d s$/),
  });
});

test('`same` is given up in time: then what the failure rules out decides', async () => {
  prepare(zones(9), () => busy({ elsewhere: { rulesOut: 'region' }, backOff: { firstMs: 10_000, atMostMs: 60_000 } }));
  const pending = failureOf();
  pending.catch(() => {});
  await fake.clock.advance(3 * 60_000);
  expect(await pending).toMatchObject({ code: 'quota' });
  expect(new Set(zonesTried())).toEqual(new Set(['land0-a', 'land1-a', 'land2-a']));
  expect(count('launch')).toBeGreaterThan(3 * 2);
  expect(count('terminate')).toBe(0);
});

test('where the same order twice could make two machines, it is given once', async () => {
  prepare(zones(1), () => busy({ leftBehind: 'unknown' }), { traits: { idempotentLaunch: false } });
  expect(await failureOf()).toMatchObject({ code: 'quota' });
  expect(count('launch')).toBe(1);
});

test('an earlier call of unknown outcome is not made certain by a later refusal', async () => {
  prepare(zones(1), (_plan, order) => (order === 1 ? null : busy({ backOff: { firstMs: 1, atMostMs: 0 } })));
  provider.failNext('launch', busy({ leftBehind: 'unknown' }), { after: true });
  const pending = failureOf();
  await fake.clock.advance(60_000);
  expect(await pending).toMatchObject({ code: 'quota' });
  expect(count('launch')).toBe(2);
  expect(provider.machines).toHaveLength(1);
  expect(alive()).toEqual([]);
});

test('interrupted while it backs off: nothing is left, and nothing else is tried', async () => {
  prepare(zones(3), () => busy());
  const pending = failureOf();
  await fake.clock.advance(1_000);
  expect(fake.clock.sleeping).toBe(1);
  fake.abort.abort(new GpuRunError('interrupted', 'Interrupted.'));
  expect(await pending).toMatchObject({ code: 'interrupted' });
  expect(zonesTried()).toEqual(['land0-a']);
  expect(fake.context.ledger.list({ live: true })).toEqual([]);
  expect(fake.clock.sleeping).toBe(0);
});

test('an order of unknown outcome is looked for by name and ended before the next is given', async () => {
  prepare(zones(2), () => null);
  const unknown = () => new GpuRunError('connection', 'No answer came.', { retry: 'elsewhere' });
  provider.failNext('launch', unknown(), { after: true });
  provider.failNext('launch', unknown());
  await failureOf();
  expect(provider.calls).toEqual(['offers', 'launch', 'terminate', 'launch', 'terminate']);
  expect(provider.machines).toMatchObject([{ goneAt: expect.any(Number) }]);
  expect(alive()).toEqual([]);
});

test('an order that the provider could not clear up itself is cleared up, and the search goes on', async () => {
  prepare(zones(2), () => null);
  provider.failNext('launch', new GpuRunError('still-billing', 'Whether it was made could not be found out.'), { after: true });
  const failure = await failureOf();
  expect(provider.calls).toEqual(['offers', 'launch', 'terminate', 'launch', 'describe', 'terminate']);
  expect(failure.attempts[0]?.error).toMatchObject({ code: 'connection', message: expect.stringContaining('nothing of it exists') });
  expect(alive()).toEqual([]);
});

test('a provider that never answers is left alone after three orders', async () => {
  prepare(zones(9), () => new GpuRunError('connection', 'No answer came.', { retry: 'elsewhere' }));
  expect(await failureOf()).toMatchObject({ code: 'connection' });
  expect(count('launch')).toBe(3);
});

test('machines that do not get ready are replaced elsewhere, three times at most', async () => {
  prepare(zones(9), () => null);
  expect(await failureOf()).toMatchObject({ code: 'connection' });
  expect(zonesTried()).toEqual(['land0-a', 'land0-b', 'land0-c', 'land1-a']);
  expect(alive()).toEqual([]);
});

test('of several providers, one without permission or quota leads to the next; the error names all', async () => {
  prepare(zones(9), () => fails('not-allowed', 'The key may not create machines.', { hints: ['Give it the role.'] }));
  const failure = await failureOf({ ...fakeInput, providers: ['fake', 'other'] });
  expect(provider.orders).toHaveLength(1);
  expect(other.orders).toHaveLength(1);
  expect(failure.code).toBe('not-allowed');
  expect(failure.message).toBe('No machine could be had (any GPU or none).\nfake: The key may not create machines.\nother: No route to that machine.');
  expect(failure.hints).toContain('Give it the role.');
  expect(failure.attempts.map((attempt) => attempt.provider)).toEqual(['fake', 'other']);
  expect(notes()).toContain('Nothing at fake: The key may not create machines; trying other');
});

test('a provider that can not even be asked leads to the next', async () => {
  prepare([], () => null);
  provider.failNext('offers', new GpuRunError('not-allowed', 'There are no credentials.'));
  other.failNext('launch', fails('no-capacity', 'All boxes are taken.', { retry: 'elsewhere' }));
  const failure = await failureOf({ ...fakeInput, providers: ['fake', 'other'] });
  expect(failure).toMatchObject({
    code: 'no-capacity',
    attempts: [
      { provider: 'fake', type: null },
      { provider: 'other', type: 'box' },
    ],
  });
  expect(failure.message).toContain('There are no credentials.');
});

test('a provider without an offer is told of, and decides only when no other was tried', async () => {
  prepare([], () => null);
  const input = { ...fakeInput, providers: ['other', 'fake'] };
  const tried = await failureOf(input);
  expect(tried).toMatchObject({
    code: 'connection',
    attempts: [
      { provider: 'other', type: 'box' },
      { provider: 'fake', type: null, error: { code: 'no-capacity' } },
    ],
  });
  other.failNext('offers', new GpuRunError('no-capacity', 'No boxes.'));
  expect(await failureOf(input)).toMatchObject({ code: 'no-capacity', message: expect.stringContaining('other: No boxes.\nfake: No machine fits') });
});

test('what may still bill ends the search, with all that was tried', async () => {
  prepare(zones(3), (plan, order) => (order === 1 ? outOfStock(plan) : null));
  provider.failNext('terminate', new Error('503'));
  const failure = await failureOf({ ...fakeInput, providers: ['fake', 'other'] });
  expect(failure).toMatchObject({ code: 'still-billing', attempts: [{ zone: 'land0-a' }, { zone: 'land0-b' }] });
  expect(failure.hints.join()).toContain('gpu-run down cats');
  expect(other.orders).toEqual([]);
});

test('where the machine will be found is on disk before it is ordered', async () => {
  const seen: unknown[] = [];
  prepare(zones(1), (plan) => {
    seen.push(fake.context.ledger.get(plan.id)?.ref);
    return outOfStock(plan);
  });
  await failureOf();
  expect(seen).toEqual([expect.objectContaining({ provider: 'fake', id: provider.orders[0]?.id, createdAt: null })]);
});
