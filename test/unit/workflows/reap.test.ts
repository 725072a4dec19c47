import { afterEach, beforeEach, expect, test } from 'vitest';
import type { MachineRef } from '../../../src/core/machine.ts';
import type { Offer } from '../../../src/core/offer.ts';
import type { MachineEntry } from '../../../src/ledger/ledger.ts';
import { createFakeProvider, type FakeProvider } from '../../../src/testing/fake-provider.ts';
import { down } from '../../../src/workflows/down.ts';
import { reap } from '../../../src/workflows/reap.ts';
import { billedSeconds, reportCost } from '../../../src/workflows/report-cost.ts';
import { status } from '../../../src/workflows/status.ts';
import { createFakeContext, type FakeContext } from './fake-context.ts';

let fake: FakeContext;
let provider: FakeProvider;
let broken: FakeProvider;
beforeEach(() => {
  fake = createFakeContext((clock) => {
    provider = createFakeProvider({ clock });
    broken = createFakeProvider({ clock, id: 'broken' });
    return { fake: provider, broken };
  });
});
afterEach(() => fake[Symbol.dispose]());

const hour = 3_600_000;
const deadProcess = { pid: 2 ** 22 + 1, started: 'never' };

/** A machine at the provider; in the ledger only when a holder is given. */
async function launched(name: string, inLedger: 'ready' | 'abandoned' | 'held' | null, deadlineMs = 4 * hour): Promise<MachineEntry | null> {
  const { context, clock } = fake;
  const offers: Offer[] = [];
  const need = { spot: false, regions: [], nodes: 1, providerOptions: {} };
  for await (const offer of provider.offers(need)) offers.push(offer);
  const [offer] = offers;
  if (offer === undefined) throw new Error('no offer');
  const deadline = clock.now() + deadlineMs;
  const labels = { 'gpu-run-owner': context.owner, 'gpu-run-machine': `${name}-abcdef`, 'gpu-run-name': name, 'gpu-run-expires': String(deadline / 1000) };
  const plan = { id: `${name}-abcdef`, name, labels, offer, need, requestId: name, deadline, idleSeconds: null, sshPublicKey: 'ssh-ed25519 AAAA' };
  if (inLedger !== null) {
    const holder = inLedger === 'abandoned' ? deadProcess : context.self;
    context.ledger.open({
      ...plan,
      provider: 'fake',
      owner: context.owner,
      template: null,
      budgetUsd: null,
      forOneJob: false,
      user: 'u',
      branch: null,
      holder,
    });
  }
  const ref = await provider.launch(plan);
  if (inLedger === null || inLedger === 'abandoned') return null;
  const entry = context.ledger.note(plan.id, { fact: 'launched', ref });
  if (inLedger === 'held') return entry;
  context.ledger.release(plan.id, context.self);
  return context.ledger.note(plan.id, { fact: 'ready', access: { kind: 'own', host: '127.0.0.1', port: 1, user: 'u', hostKeys: [] } });
}

test('ends what is unknown, abandoned or past its deadline; keeps the rest; a provider that fails is named', async () => {
  await launched('unknown', null);
  await launched('abandoned', 'abandoned');
  await launched('held', 'held');
  await launched('ready', 'ready');
  const before = await reap({ dryRun: true }, fake.context);
  expect(before.ended.map(({ name }) => name).sort()).toEqual(['abandoned', 'unknown']);
  expect(provider.machines.every(({ goneAt }) => goneAt === null)).toBe(true);

  broken.failNext('list', new Error('503'));
  const result = await reap({ dryRun: false }, fake.context);
  expect(result.ended.map(({ name }) => name).sort()).toEqual(['abandoned', 'unknown']);
  expect(result.kept.map(({ name }) => name).sort()).toEqual(['held', 'ready']);
  expect(result.unreachable).toEqual([{ provider: 'broken', code: 'internal', message: '503' }]);
  expect(provider.machines.filter(({ goneAt }) => goneAt === null).map(({ ref }) => ref.name)).toEqual(['held', 'ready']);
});

test('a machine that its provider took away is noted as gone', async () => {
  const entry = await launched('ready', 'ready');
  provider.takeBack(entry?.id ?? '');
  const result = await reap({ dryRun: false }, fake.context);
  expect(result.ended).toMatchObject([{ name: 'ready' }]);
  expect(fake.context.ledger.list({ live: true })).toEqual([]);
});

test('a machine that can not be ended keeps no other alive, and is named as still billing', async () => {
  await launched('first', null);
  await launched('second', null);
  provider.failNext('terminate', new Error('HTTP 500'));
  const result = await reap({ dryRun: false }, fake.context);
  expect(result.ended.map(({ name }) => name)).toEqual(['second']);
  expect(result.leftovers.join()).toContain('HTTP 500');
  expect(result.unreachable).toEqual([]);
});

test('a machine that is not listed and cannot be looked at is named; the others, and what was left behind, are ended and reported', async () => {
  for (const name of ['cats', 'dogs']) await launched(name, 'ready');
  const { describe, terminate } = provider;
  const disk: MachineRef = { provider: 'fake', id: 'old-abcdef', name: 'old', labels: {}, createdAt: 0, data: {}, leftover: 'its disk old' };
  const ended: string[] = [];
  Object.assign(provider, {
    async *list() {
      yield disk;
    },
    describe: async (ref: MachineRef) => {
      if (ref.id === 'cats-abcdef') throw new Error('403 in the project of cats');
      return await describe(ref);
    },
    terminate: async (ref: MachineRef) => {
      ended.push(ref.id);
      return ref === disk ? { state: 'gone', leftovers: [] } : await terminate(ref);
    },
  });
  provider.takeBack('dogs-abcdef');
  const result = await reap({ dryRun: false }, fake.context);
  expect(result.unreachable).toEqual([{ provider: 'fake', code: 'internal', message: "'cats' (cats-abcdef): 403 in the project of cats" }]);
  expect(result.ended.map(({ name }) => name)).toEqual(['dogs', 'old']);
  expect(ended).toEqual(['dogs-abcdef', 'old-abcdef']);
  expect(fake.context.ledger.get('cats-abcdef')?.state).toBe('ready');
});

test('one that a list leaves out, but that is there when asked for, is kept; so is one under an older owner label', async () => {
  await launched('ready', 'ready');
  const { list } = provider;
  Object.assign(provider, { list: async function* () {} });
  expect(await reap({ dryRun: false }, fake.context)).toMatchObject({ ended: [], kept: [{ name: 'ready' }] });
  Object.assign(provider, { list });
  const renamed = { ...fake.context, owner: 'tester-2' };
  expect(await reap({ dryRun: false }, renamed)).toMatchObject({ ended: [], kept: [{ name: 'ready', why: 'up' }] });
});

test('a provider that says gone once, and has it at the second look, is not believed', async () => {
  const entry = await launched('ready', 'ready');
  const { describe } = provider;
  let lies = 1;
  Object.assign(provider, {
    describe: async (...args: Parameters<typeof describe>) => (lies-- > 0 ? { state: 'gone', access: null, detail: null, deadline: null } : describe(...args)),
  });
  const refreshed = status({ refresh: true, all: false }, fake.context);
  await fake.clock.advance(1_000);
  expect((await refreshed).machines).toMatchObject([{ id: entry?.id, state: 'ready' }]);
  expect(provider.machines.every(({ goneAt }) => goneAt === null)).toBe(true);
});

test('cost: seconds times price, never beyond the deadline, cut up by machine, job and day', async () => {
  const entry = await launched('ready', 'ready', 30 * hour);
  if (entry === null) throw new Error('not launched');
  const { context, clock } = fake;
  const start = clock.now();
  context.ledger.putJob({
    id: 'job-1',
    machineId: entry.id,
    machineName: 'ready',
    command: 'x',
    state: 'ended',
    end: null,
    attempts: 1,
    createdAt: start,
    startedAt: start + hour,
    endedAt: start + 3 * hour,
    asOf: start,
    user: 'u',
    branch: null,
  });
  await clock.advance(4 * hour);
  expect(reportCost({ by: 'machine', since: null }, context)).toMatchObject({ totalUsd: 4, items: [{ usd: 4, seconds: 4 * 3600 }] });
  expect(reportCost({ by: 'job', since: null }, context).items).toMatchObject([
    { key: '(between jobs, ready)', usd: 2 },
    { key: 'job-1', usd: 2 },
  ]);
  expect(reportCost({ by: 'machine', since: start + 3 * hour }, context).totalUsd).toBeCloseTo(1);
  await clock.advance(100 * hour);
  expect(billedSeconds(entry, clock.now())).toBe(30 * 3600);
  expect(reportCost({ by: 'day', since: null }, context).items.map(({ usd }) => usd)).toEqual([24, 6]);
});

test('down ends what a dead gpu-run has left half made, whatever its name; another machine that is up stays', async () => {
  await launched('cats', 'ready');
  await launched('dogs', 'abandoned');
  await launched('mice', 'ready');
  const down1 = down({ names: ['cats'], all: false }, fake.context);
  await fake.clock.advance(10_000);
  expect((await down1).machines.map(({ name }) => name)).toEqual(['cats']);
  expect(provider.machines.filter(({ goneAt }) => goneAt === null).map(({ plan }) => plan.name)).toEqual(['mice']);
  expect(fake.context.ledger.list({ live: true }).map(({ name }) => name)).toEqual(['mice']);
});

test('down of one name given twice ends it, and counts its cost, once', async () => {
  await launched('cats', 'ready');
  expect((await down({ names: ['cats', 'cats'], all: false }, fake.context)).machines.map(({ name }) => name)).toEqual(['cats']);
});
