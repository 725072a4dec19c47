import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Labels, labelKeys, type MachineRef } from '../../../src/core/machine.ts';
import type { Offer } from '../../../src/core/offer.ts';
import type { LaunchPlan } from '../../../src/providers/provider.ts';
import { createFakeProvider, type FakeProvider } from '../../../src/testing/fake-provider.ts';
import { adoptFound } from '../../../src/workflows/adopt.ts';
import { down } from '../../../src/workflows/down.ts';
import { connectMachine } from '../../../src/workflows/reach-machine.ts';
import { reap } from '../../../src/workflows/reap.ts';
import { recover } from '../../../src/workflows/recover.ts';
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
const need = { spot: false, regions: [], nodes: 1, providerOptions: {} };

async function made(id: string, name: string, labels: Labels = {}, changes: Partial<LaunchPlan> = {}): Promise<MachineRef> {
  const offers: Offer[] = [];
  for await (const offer of provider.offers(need)) offers.push(offer);
  const deadline = fake.clock.now() + 4 * hour;
  const all = {
    [labelKeys.owner]: fake.context.owner,
    [labelKeys.machine]: id,
    [labelKeys.name]: name,
    [labelKeys.expires]: String(deadline / 1000),
    [labelKeys.home]: 'elsewhere-abc123',
    ...labels,
  };
  const plan = { id, name, labels: all, offer: offers[0] as Offer, need, requestId: id, deadline, idleSeconds: null, sshPublicKey: 'ssh-ed25519 AAAA' };
  return await provider.launch({ ...plan, ...changes });
}

const live = () => fake.context.ledger.list({ live: true });
const adopt = () => adoptFound({}, fake.context);

test('what is found is written down once, at once as ready, however many look at the same moment', async () => {
  await made('cats-abcdef', 'cats');
  const all = await Promise.all([adopt(), adopt(), status({ refresh: true, all: false }, fake.context)]);
  expect(all.slice(0, 2)).toEqual([[], []]);
  expect(live()).toMatchObject([{ id: 'cats-abcdef', name: 'cats', state: 'ready', holder: null, adopted: { home: 'elsewhere-abc123' } }]);
  await recover(fake.context);
  await reap({ dryRun: false }, fake.context);
  expect(live()).toHaveLength(1); // a gpu-run that works on it may be running elsewhere
  expect((await down({ names: ['cats'], all: false }, fake.context)).machines).toMatchObject([{ id: 'cats-abcdef', state: 'gone' }]);
  expect(provider.machines.map(({ goneAt }) => goneAt)).not.toContain(null);
  await adopt();
  expect(live()).toEqual([]);
});

test('two of one name: the second goes by its id; a name that is none, too', async () => {
  await made('cats-abcdef', 'cats');
  await made('cats-ghjkmn', 'cats');
  await made('evil-abcdef', 'x', { [labelKeys.name]: '-oProxyCommand=x' }, { name: 'Host *\n  ProxyCommand touch /tmp/x' });
  await adopt();
  expect(
    live()
      .map(({ name }) => name)
      .toSorted(),
  ).toEqual(['cats', 'cats-ghjkmn', 'evil-abcdef']);
});

test('its cost is counted from when it was made', async () => {
  await made('cats-abcdef', 'cats');
  await fake.clock.advance(hour);
  await adopt();
  const [entry] = live();
  expect(entry === undefined ? 0 : billedSeconds(entry, fake.clock.now())).toBe(3600);
  expect(reportCost({ by: 'machine', since: null }, fake.context)).toMatchObject({ totalSeconds: 3600, failed: { count: 0 } });
  expect(entry?.offer).toMatchObject({ source: 'not known', price: { perHour: 0 } }); // this provider can't say what its machines are
});

test('a machine that carries the label of another one is neither written down nor ended', async () => {
  await made('clone-1', 'cats', { [labelKeys.machine]: 'cats-abcdef' });
  await adopt();
  expect(live()).toEqual([]);
  expect(await reap({ dryRun: false, elsewhere: true }, fake.context)).toMatchObject({ ended: [], kept: [{ id: 'clone-1' }] });
});

test('one that waits in the queue of its provider has not begun, whatever its label says; else the label counts', async () => {
  await made('cats-abcdef', 'cats', { [labelKeys.expires]: String((fake.clock.now() - hour) / 1000) });
  const { describe } = provider;
  Object.assign(provider, { describe: async (ref: MachineRef) => ({ ...(await describe(ref)), state: 'pending', queued: true }) });
  expect(await reap({ dryRun: false }, fake.context)).toMatchObject({ ended: [], kept: [{ id: 'cats-abcdef' }] });
  Object.assign(provider, { describe });
  expect(await reap({ dryRun: false }, fake.context)).toMatchObject({ ended: [{ id: 'cats-abcdef', why: 'past its deadline' }], kept: [] });
});

test('a deadline that was moved from another computer is taken over', async () => {
  const ref = await made('cats-abcdef', 'cats');
  await adopt();
  const later = fake.clock.now() + 9 * hour;
  Object.assign(ref.labels, { [labelKeys.expires]: String(later / 1000) });
  await adopt();
  expect(live()).toMatchObject([{ deadline: later }]);
});

test('what was noted as gone, and what a provider could not show, is said; the rest is found all the same', async () => {
  await made('cats-abcdef', 'cats');
  await adopt();
  fake.context.ledger.note('cats-abcdef', { fact: 'gone', reason: 'x', leftovers: [] });
  await made('dogs-abcdef', 'dogs');
  broken.failNext('list', new Error('503'));
  expect(await adopt()).toMatchObject([{ provider: 'broken', failure: { message: '503' } }]);
  expect(live().map(({ name }) => name)).toEqual(['dogs']);
  const said = fake.reports.flatMap((report) => (report.type === 'note' ? [report.text] : [])).join('\n');
  expect(said).toContain("'cats-abcdef' is there, though it was noted as gone (fake); gpu-run reap ends it");
  expect(said).toContain('broken did not show everything: 503');
});

test('one that can not be looked at does not hide the others, nor what is said of them', async () => {
  for (const name of ['cats', 'dogs', 'owls']) await made(`${name}-abcdef`, name);
  const { describe } = provider;
  Object.assign(provider, {
    describe: async (ref: MachineRef) => {
      if (ref.name === 'cats') throw new Error('503 of one zone');
      for (let n = 0; n < 20; n++) await Promise.resolve(); // an answer that takes longer
      return ref.name === 'owls' ? { state: 'ending', access: null, detail: null, deadline: null } : await describe(ref);
    },
  });
  expect(await adopt()).toMatchObject([{ provider: 'fake', failure: { message: "'cats-abcdef' could not be looked at: 503 of one zone" } }]);
  expect(live().map(({ name }) => name)).toEqual(['dogs']);
  expect(fake.reports).toContainEqual(expect.objectContaining({ type: 'note', text: expect.stringContaining("'owls-abcdef' has stopped") }));
});

test('without its key nobody tries to log in, and it is said what can be done; with the key it is used', async () => {
  await made('cats-abcdef', 'cats');
  await adopt();
  const [entry] = live();
  if (entry === undefined) throw new Error('not adopted');
  await expect(connectMachine(entry, fake.context)).rejects.toMatchObject({
    code: 'not-allowed',
    message: expect.stringContaining('elsewhere-abc123'),
    hints: expect.arrayContaining([expect.stringContaining('gpu-run down cats')]),
  });
  await expect(connectMachine(entry, { ...fake.context, homeLabel: 'elsewhere-abc123' })).rejects.toThrow('was lost with the state folder');
  mkdirSync(fake.context.home.keys, { recursive: true });
  writeFileSync(join(fake.context.home.keys, entry.id), 'key');
  await expect(connectMachine(entry, fake.context)).rejects.toMatchObject({ code: 'connection' }); // it tried: there is no network here
});
