/** Nobody knows what became of a call: asked again, looked up, cleared up, and never taken for "not made". */
import { describe, expect, test } from 'vitest';
import { down } from '../../../../src/workflows/down.ts';
import { reap } from '../../../../src/workflows/reap.ts';
import { cpu, expectNothingLeft, expectOneUp, openRig, prepareRigs, type UpRig } from './up-rig.ts';

prepareRigs();

const calls = /^instances\.insert$/;
const central = ['us-central1-a', 'us-central1-b', 'us-central1-c'];
type Break = (rig: UpRig, times?: { readonly times: number }) => void;

const trouble: [string, Break][] = [
  ['500', ({ emulator }, times) => emulator.faults.serverError({ calls, status: 500, ...times })],
  ['502 in HTML', ({ emulator }, times) => emulator.faults.serverError({ calls, status: 502, html: true, ...times })],
  ['503', ({ emulator }, times) => emulator.faults.serverError({ calls, status: 503, ...times })],
  ['reset before the effect', ({ emulator }, times) => emulator.faults.reset({ calls, when: 'before', ...times })],
  ['reset after the effect', ({ emulator }, times) => emulator.faults.reset({ calls, when: 'after', ...times })],
  ['hang before the effect', ({ emulator }, times) => emulator.faults.hang({ calls, when: 'before', ...times })],
  ['hang after the effect', ({ emulator }, times) => emulator.faults.hang({ calls, when: 'after', ...times })],
];

describe('an order without an answer', () => {
  test.each(trouble.filter(([name]) => !name.startsWith('50')))('%s, once: the same order again, and one machine', async (_, breakIt) => {
    const rig = await openRig();
    breakIt(rig, { times: 1 });
    const outcome = await rig.up(cpu);
    expect(outcome.inserts).toEqual(Array(2).fill(outcome.inserts[0]));
    expect(new Set(outcome.requestIds).size).toBe(1);
    expectOneUp(rig, outcome);
  });

  test.each(trouble)('%s, always: given up after three zones, with nothing left, within the limits of each', async (_, breakIt) => {
    const rig = await openRig();
    breakIt(rig);
    const outcome = await rig.up();
    expect([...new Set(outcome.inserts)]).toEqual(central);
    expect(new Set(outcome.requestIds).size).toBe(3);
    expect(outcome.error).toMatchObject({ code: 'connection', retry: 'elsewhere' });
    expect(outcome.tookMs).toBeLessThan(3 * 60_000 + 60_000); // 60 s a call, and what the clearing up takes
    expectNothingLeft(rig);
  });

  test.each<[string, Break]>([
    ['a rate limit', ({ emulator }) => emulator.faults.rateLimit({ calls })],
    ['no permission', ({ emulator }) => emulator.faults.permissionDenied({ calls, permission: 'compute.instances.create' })],
    ['no stock', ({ emulator }) => emulator.faults.stockout({ http: true })],
  ])('took effect, and is refused when it is repeated (%s): cleared up', async (_, refuse) => {
    const rig = await openRig();
    rig.emulator.faults.reset({ calls, when: 'after', times: 1 });
    refuse(rig);
    const outcome = await rig.up({ regions: ['us-central1-a'] });
    expect(outcome.error).not.toBeNull();
    expect(outcome.inserts.length).toBeGreaterThan(1);
    expectNothingLeft(rig);
  });

  test('that can not be cleared up at once: it is once more, and the next zone is tried', async () => {
    const rig = await openRig();
    rig.emulator.faults.hang({ calls, when: 'after', zones: ['us-central1-a'] });
    const stuck = rig.emulator.faults.hang({ calls: /^instances\.delete$/, when: 'before', times: 2 });
    rig.emulator.faults.stockout({ zones: ['us-central1-b', 'us-central1-c'] });
    const outcome = await rig.up();
    expect(stuck.hits()).toBe(2);
    expect([...new Set(outcome.inserts)]).toEqual(central);
    expect(outcome.error?.attempts[0]?.error).toMatchObject({ code: 'connection', message: expect.stringContaining('nothing of it exists') });
    expectNothingLeft(rig);
  });

  test('INTERNAL_ERROR of the operation, with the machine there: cleared up, the next zone', async () => {
    const rig = await openRig();
    const errors = [{ code: 'INTERNAL_ERROR', message: 'Internal error. Please try again or contact Google Support.' }];
    rig.emulator.faults.operationError({ errors, httpStatus: 500, keepsTarget: true });
    const outcome = await rig.up();
    expect(outcome.inserts).toEqual(central);
    expect(outcome.error?.code).toBe('connection');
    expectNothingLeft(rig);
  });
});

describe('an operation', () => {
  test('that never ends: given up after five minutes, with nothing left', async () => {
    const rig = await openRig({ waitMs: 1 });
    rig.emulator.faults.operationNeverEnds({ types: /^insert$/ });
    const outcome = await rig.up({ regions: ['us-central1-a'] });
    expect(outcome.error?.code).toBe('no-capacity');
    expect(outcome.text).toContain('did not carry it out within 5 minutes');
    expect(outcome.tookMs).toBeGreaterThanOrEqual(5 * 60_000);
    expect(outcome.tookMs).toBeLessThan(7 * 60_000);
    expectNothingLeft(rig);
  });

  test.each<[string, Break]>([
    ['a reset', ({ emulator }) => emulator.faults.reset({ calls: /^zoneOperations\.wait$/, when: 'after', times: 2 })],
    ['a 503', ({ emulator }) => emulator.faults.serverError({ calls: /^zoneOperations\.wait$/, times: 2 })],
  ])('whose end is not heard because of %s: asked again', async (_, breakIt) => {
    const rig = await openRig();
    breakIt(rig);
    const outcome = await rig.up(cpu);
    expect(outcome.inserts).toHaveLength(1);
    expectOneUp(rig, outcome);
  });

  test.each<[string, Break]>([
    ['hangs', ({ emulator }) => emulator.faults.hang({ calls: /^zoneOperations\.wait$/, when: 'before', times: 1 })],
    ['fails', ({ emulator }) => emulator.faults.serverError({ calls: /^zoneOperations\.wait$/, times: 6 })],
  ])('that can not be waited for, as that %s: cleared up within its limit, and the next zone', async (_, breakIt) => {
    const rig = await openRig();
    breakIt(rig);
    rig.emulator.faults.stockout({ zones: ['us-central1-b', 'us-central1-c'] });
    const outcome = await rig.up();
    expect(outcome.inserts).toEqual(central);
    expect(outcome.tookMs).toBeLessThan(5 * 60_000);
    expectNothingLeft(rig);
  });
});

describe('a machine', () => {
  test('that can not be looked at once it is made: ended, and the next zone', async () => {
    const rig = await openRig();
    rig.emulator.faults.serverError({ calls: /^instances\.get$/, times: 6 });
    rig.emulator.faults.stockout({ zones: ['us-central1-b', 'us-central1-c'] });
    const outcome = await rig.up();
    expect(outcome.inserts).toEqual(central);
    expect(outcome.error?.attempts[0]?.error?.code).toBe('connection');
    expectNothingLeft(rig);
  });

  test('that can not be looked at for a while as it boots: waited for', async () => {
    const rig = await openRig({ skipsBoot: true });
    rig.emulator.faults.serverError({ calls: /^instances\.getGuestAttributes$/, times: 8 });
    const outcome = await rig.up(cpu);
    expect(outcome.inserts).toHaveLength(1);
    expectOneUp(rig, outcome);
  });

  test('that vanishes as it boots: another one', async () => {
    const rig = await openRig();
    rig.emulator.faults.machine({ vanishAfterMs: 0, times: 1 });
    const outcome = await rig.up(cpu);
    expect(outcome.inserts).toHaveLength(2);
    expect(outcome.result?.attempts[0]?.error?.code).toBe('lost');
    expectOneUp(rig, outcome);
  });

  test('that is taken back as it boots: another one', async () => {
    const rig = await openRig();
    rig.emulator.faults.machine({ preemptAfterMs: 0, times: 1 });
    const outcome = await rig.up({ gpu: null, spot: true });
    expect(outcome.inserts).toHaveLength(2);
    expect(outcome.result?.attempts[0]?.error?.code).toBe('preempted');
    expectOneUp(rig, outcome);
  });

  test('that vanished since: down says gone', async () => {
    const rig = await openRig();
    const outcome = await rig.up(cpu);
    await rig.emulator.vanish(outcome.result?.machine.id ?? '');
    await down({ names: ['cats'], all: false }, rig.context);
    expectNothingLeft(rig);
  });

  test('whose deletion fails: deleted again', async () => {
    const rig = await openRig();
    const outcome = await rig.up(cpu);
    expectOneUp(rig, outcome);
    rig.emulator.faults.operationError({ types: /^delete$/, errors: [{ code: 'INTERNAL_ERROR', message: 'Internal error.' }], times: 1 });
    await down({ names: ['cats'], all: false }, rig.context);
    expectNothingLeft(rig);
  });

  test('that can not be ended: it may bill, with the command that ends it; reap does so later', async () => {
    const rig = await openRig();
    rig.emulator.faults.hang({ calls, when: 'after' });
    rig.emulator.faults.hang({ calls: /^instances\.delete$/, when: 'before' });
    const outcome = await rig.up();
    expect(outcome.error?.code).toBe('still-billing');
    expect(outcome.inserts).toEqual(['us-central1-a', 'us-central1-a']);
    expect(outcome.tookMs).toBeLessThan(5 * 60_000);
    const [left] = rig.emulator.instances();
    expect(outcome.text).toContain(`gcloud compute instances delete ${left?.name} --zone=us-central1-a --project=${rig.emulator.project}`);
    expect(rig.context.ledger.list({ live: true })).toMatchObject([{ id: left?.name, state: 'ending' }]);
    rig.emulator.faults.clear();
    const { ended, leftovers } = await reap({ dryRun: false }, rig.context);
    expect(ended.map(({ id }) => id)).toEqual([left?.name]);
    expect(leftovers).toEqual([]);
    expectNothingLeft(rig);
  });

  test.each(['unreachables', 'warning'] as const)('in a zone that lists can not reach (%s): reap says so, and takes nothing for gone', async (form) => {
    const rig = await openRig();
    const outcome = await rig.up(cpu);
    const zone = outcome.inserts[0] ?? '';
    rig.emulator.faults.unreachableZone(zone, form);
    const result = await reap({ dryRun: false }, rig.context);
    expect(result.unreachable).toMatchObject([{ provider: 'gcp', message: expect.stringContaining(zone) }]);
    expect(result.ended).toEqual([]);
    expectOneUp(rig, outcome);
  });

  test('is had elsewhere while a zone can not be reached', async () => {
    const rig = await openRig();
    rig.emulator.faults.unreachableZone('us-central1-a');
    const outcome = await rig.up();
    expect(outcome.inserts).toHaveLength(1);
    expect(outcome.inserts).not.toContain('us-central1-a');
    expectOneUp(rig, outcome);
  });
});

test('nothing is ordered while Google does not say what there is', async () => {
  const rig = await openRig();
  rig.emulator.faults.serverError();
  const outcome = await rig.up();
  expect(outcome.inserts).toEqual([]);
  expect(outcome.error?.code).toBe('connection');
  expectNothingLeft(rig);
});

describe('interrupted', () => {
  const interrupt = async (rig: UpRig, seen: () => boolean) => {
    const going = rig.up();
    await expect.poll(seen, { interval: 2, timeout: 20_000 }).toBe(true);
    rig.abort.abort();
    const outcome = await going;
    expect(outcome.error?.code).toBe('interrupted');
    expect(new Set(outcome.inserts)).toEqual(new Set(['us-central1-a']));
    expectNothingLeft(rig);
  };

  test.each(['before', 'after'] as const)('while the order hangs, %s its effect', async (when) => {
    const rig = await openRig();
    const hang = rig.emulator.faults.hang({ calls, when });
    await interrupt(rig, () => hang.hits() > 0);
  });

  test('while the operation runs', async () => {
    const rig = await openRig();
    rig.emulator.faults.operationSlow({ ms: 600_000, types: /^insert$/ });
    await interrupt(rig, () => rig.emulator.instances().length > 0);
  });

  test('while it boots', async () => {
    const rig = await openRig();
    rig.emulator.faults.machine({ bootMs: 600_000 });
    await interrupt(rig, () => rig.context.ledger.list({ live: true }).some(({ state }) => state === 'launched'));
  });
});
