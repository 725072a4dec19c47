/** One failure of each call that a machine costs, from the price list to its end: none of them keeps it from coming or from going. */
import { expect, test } from 'vitest';
import { down } from '../../../../src/workflows/down.ts';
import { expectNothingLeft, expectOneUp, openRig, prepareRigs, type UpRig } from './up-rig.ts';

prepareRigs();

/** All that `up` and `down` make of Compute Engine; `billing.skus` and `advice.capacity` are asked only once, and done without. */
const made = [
  'machineTypes.aggregatedList',
  'regions.list',
  'projects.get',
  'billing.skus',
  'advice.capacity',
  'images.getFromFamily',
  'instances.insert',
  'zoneOperations.wait',
  'instances.get',
  'instances.getEffectiveFirewalls',
  'instances.getGuestAttributes',
  'zoneOperations.list',
  'instances.delete',
  'firewalls.get',
  'firewalls.insert',
  'firewalls.delete',
  'globalOperations.wait',
  'instances.aggregatedList',
];

test.each<[string, (rig: UpRig, calls: RegExp) => void]>([
  ['cut off before its effect', ({ emulator }, calls) => emulator.faults.reset({ calls, when: 'before', times: 1 })],
  ['cut off after its effect', ({ emulator }, calls) => emulator.faults.reset({ calls, when: 'after', times: 1 })],
  ['hanging before its effect', ({ emulator }, calls) => emulator.faults.hang({ calls, when: 'before', times: 1 })],
  ['hanging after its effect', ({ emulator }, calls) => emulator.faults.hang({ calls, when: 'after', times: 1 })],
  ['answered with a page of HTML', ({ emulator }, calls) => emulator.faults.serverError({ calls, status: 502, html: true, times: 1 })],
  ['over the rate', ({ emulator }, calls) => emulator.faults.rateLimit({ calls, form: '403-info', times: 1 })],
])('each call once %s', async (_, breakIt) => {
  const rig = await openRig({ skipsBoot: true, allowSshRule: false });
  for (const id of made) breakIt(rig, new RegExp(`^${id.replace('.', '\\.')}$`));
  const rules = rig.emulator.firewalls();
  const outcome = await rig.up();
  expect(new Set(outcome.requestIds).size).toBe(new Set(outcome.inserts).size);
  expectOneUp(rig, outcome);
  expect(outcome.tookMs).toBeLessThan(10 * 60_000);
  await down({ names: ['cats'], all: false }, rig.context);
  expectNothingLeft(rig);
  expect(rig.emulator.firewalls()).toEqual(rules);
  const others = rig.emulator.calls.filter(({ id }) => id !== 'token' && !made.includes(id ?? ''));
  expect(others).toEqual([]); // else a call is missing above
});

test('a deletion that never ends: after five minutes it may bill, and down tries again', async () => {
  const rig = await openRig();
  const outcome = await rig.up({ gpu: null, spot: false });
  expectOneUp(rig, outcome);
  const stuck = rig.emulator.faults.operationNeverEnds({ types: /^delete$/ });
  const began = rig.clock.now();
  await expect(down({ names: ['cats'], all: false }, rig.context)).rejects.toMatchObject({ code: 'still-billing' });
  expect(rig.clock.now() - began).toBeGreaterThanOrEqual(5 * 60_000);
  expect(rig.clock.now() - began).toBeLessThan(7 * 60_000);
  expect(rig.context.ledger.list({ live: true })).toMatchObject([{ state: 'ending' }]);
  stuck.remove();
  await down({ names: ['cats'], all: false }, rig.context);
  expectNothingLeft(rig);
});
