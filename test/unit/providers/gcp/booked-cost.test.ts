/** What `cost` books for real orders, against what the emulated Compute Engine has metered itself. */
import { expect, test } from 'vitest';
import { down } from '../../../../src/workflows/down.ts';
import { reportCost } from '../../../../src/workflows/report-cost.ts';
import { status } from '../../../../src/workflows/status.ts';
import { up } from '../../../../src/workflows/up.ts';
import { fakeInput } from '../../workflows/fake-context.ts';
import { openRig, prepareRigs, type UpRig } from './up-rig.ts';

prepareRigs();

const minute = 60_000;

/** On both sides: the machines' and ours. */
async function pass({ emulator, clock }: UpRig, ms: number): Promise<void> {
  emulator.passTime(ms);
  await clock.sleep(ms);
}

/** Whole-machine prices are those of the orders; the time is the emulator's own. */
function metered({ emulator, context, clock }: UpRig): number {
  return emulator.meter().reduce((sum, { name, from, to }) => {
    const perHour = context.ledger.get(name)?.offer.price.perHour ?? Number.NaN;
    return sum + (perHour * ((to ?? clock.now()) - from)) / 3_600_000;
  }, 0);
}

test('one that was ended, one that was taken away, one that runs: the same to a tenth of a cent, however it is cut up', async () => {
  const rig = await openRig({ skipsBoot: true });
  const { context, emulator } = rig;
  const order = (name: string) => up({ ...fakeInput, name, providers: ['gcp'], need: { ...fakeInput.need, regions: ['us-central1'] } }, context);
  await order('ended');
  await pass(rig, 100 * minute);
  await order('taken');
  await pass(rig, 40 * minute);
  await down({ names: ['ended'], all: false }, context);
  await order('runs');
  await pass(rig, 55 * minute);
  const [taken] = emulator.instances().filter(({ name }) => name.startsWith('taken-'));
  await emulator.vanish(taken?.name ?? '');
  await status({ refresh: true, all: false }, context);
  await pass(rig, 30 * minute);

  const usd = metered(rig);
  expect(emulator.meter().map(({ name, to }) => [name.split('-')[0], to === null])).toEqual([
    ['ended', false],
    ['taken', false],
    ['runs', true],
  ]);
  expect(usd).toBeGreaterThan(0.2);
  for (const by of ['machine', 'job', 'day', 'user'] as const) {
    const booked = reportCost({ by, since: null }, context);
    expect(Math.abs(booked.totalUsd - usd), by).toBeLessThan(0.001);
  }
  expect(reportCost({ by: 'machine', since: null }, context).items.map(({ text, live }) => [text.split(' ')[0], live])).toEqual([
    ['ended', false],
    ['taken', false],
    ['runs', true],
  ]);
});

test.each([
  ['deleted by somebody', ({ emulator }: UpRig, name: string) => emulator.deleteByOther(name), 'somebody ended it', 0.002],
  ['switched off', ({ emulator }: UpRig, name: string) => emulator.stop(name), 'switched off', 0.002],
  // Nothing tells how long it took to shut down: half a minute is booked.
  ['preempted', ({ emulator }: UpRig, name: string) => emulator.preempt(name), 'preempted', 0.01],
])('%s, and noticed hours later: booked to its end, and its deadline is not what ended it', async (_how, end, reason, within) => {
  const rig = await openRig({ skipsBoot: true });
  const { context } = rig;
  await up({ ...fakeInput, providers: ['gcp'], need: { ...fakeInput.need, spot: reason === 'preempted', regions: ['us-central1'] } }, context);
  const id = context.ledger.list()[0]?.id ?? '';
  await pass(rig, 20 * minute);
  await end(rig, id);
  await pass(rig, 9 * 60 * minute); // beyond its deadline
  await status({ refresh: true, all: false }, context);
  expect(context.ledger.get(id)).toMatchObject({ state: 'gone', endReason: expect.stringContaining(reason) });
  const usd = metered(rig);
  const { totalUsd } = reportCost({ by: 'machine', since: null }, context);
  expect(usd).toBeGreaterThan(0.005);
  expect(totalUsd - usd).toBeGreaterThan(-0.001);
  expect(totalUsd - usd).toBeLessThan(within);
});
