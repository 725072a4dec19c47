/** What passes by waiting: the same order again, in the same place, as long as that may help. */
import { describe, expect, test } from 'vitest';
import { ApiError } from '../../../emulators/gce/api-error.ts';
import { cpu, expectNothingLeft, expectOneUp, openRig, prepareRigs } from './up-rig.ts';

prepareRigs();

const calls = /^instances\.insert$/;

describe('rates', () => {
  test.each(['429', '403', '403-info', '403-message'] as const)('%s: the same order again, in place', async (form) => {
    const rig = await openRig();
    rig.emulator.faults.rateLimit({ form, calls, times: 2 });
    const outcome = await rig.up(cpu);
    expect(outcome.inserts).toEqual(Array(3).fill(outcome.inserts[0]));
    expect(new Set(outcome.requestIds).size).toBe(1);
    expect(outcome.tookMs).toBeGreaterThan(1_000);
    expectOneUp(rig, outcome);
  });

  test('as long as the server asks to', async () => {
    const rig = await openRig();
    rig.emulator.faults.rateLimit({ calls, times: 1, retryAfterSeconds: 40 });
    const outcome = await rig.up(cpu);
    expect(outcome.inserts).toHaveLength(2);
    expect(outcome.tookMs).toBeGreaterThanOrEqual(40_000);
    expectOneUp(rig, outcome);
  });

  test.each(['429', '403', '403-info', '403-message'] as const)('%s without an end: given up, no other place is tried', async (form) => {
    const rig = await openRig();
    rig.emulator.faults.rateLimit({ form, calls });
    const outcome = await rig.up();
    expect(new Set(outcome.inserts)).toEqual(new Set(['us-central1-a']));
    expect(new Set(outcome.requestIds).size).toBe(1);
    expect(outcome.error?.code).toBe('quota');
    expect(outcome.error?.message).toMatch(/Too many calls of the Compute Engine API/);
    expect(outcome.tookMs).toBeGreaterThan(30_000);
    expect(outcome.tookMs).toBeLessThan(15 * 60_000);
    expect(outcome.calls('instances.delete')).toBe(0);
    expectNothingLeft(rig);
  });

  test('of every call: nothing is ordered', async () => {
    const rig = await openRig();
    rig.emulator.faults.rateLimit();
    const outcome = await rig.up();
    expect(outcome.inserts).toEqual([]);
    expect(outcome.error?.code).toBe('quota');
    expectNothingLeft(rig);
  });

  test.each(['CONCURRENT_OPERATIONS_QUOTA_EXCEEDED', 'RESOURCE_OPERATION_RATE_EXCEEDED'] as const)(
    '%s: half a minute in place, then the next zone',
    async (reason) => {
      const rig = await openRig();
      rig.emulator.faults.concurrentOperations({ reason, zones: ['us-central1-a'], calls });
      rig.emulator.faults.stockout({ zones: ['us-central1-b', 'us-central1-c'] });
      const outcome = await rig.up();
      const waited = outcome.inserts.filter((zone) => zone === 'us-central1-a').length;
      expect(waited).toBeGreaterThan(1);
      expect(waited).toBeLessThan(10);
      expect(outcome.inserts.slice(waited)).toEqual(['us-central1-b', 'us-central1-c']);
      expect(new Set(outcome.requestIds).size).toBe(3);
      expect(outcome.tookMs).toBeGreaterThan(15_000);
      expectNothingLeft(rig);
    },
  );

  test('RESOURCE_OPERATION_RATE_EXCEEDED in the operation: that order is over, so it is another one', async () => {
    const rig = await openRig();
    rig.emulator.faults.operationError({ errors: [{ code: 'RESOURCE_OPERATION_RATE_EXCEEDED', message: 'Too fast.' }], times: 1 });
    const outcome = await rig.up(cpu);
    expect(outcome.inserts).toEqual(Array(2).fill(outcome.inserts[0]));
    expect(new Set(outcome.requestIds).size).toBe(2);
    expectOneUp(rig, outcome);
  });
});

describe('not ready yet', () => {
  const operationInProgress = new ApiError({ status: 409, reason: 'operationInProgress', message: 'Another operation is in progress.' });
  const resourceNotReady = new ApiError({
    status: 400,
    reason: 'resourceNotReady',
    message: "The resource 'projects/emulated/regions/us-central1/subnetworks/default' is not ready",
  });

  test.each([
    ['409 operationInProgress', operationInProgress],
    ['400 resourceNotReady', resourceNotReady],
  ])('%s: the same order again, in place', async (_, error) => {
    const rig = await openRig();
    rig.emulator.faults.answer({ error, calls, times: 2 });
    const outcome = await rig.up(cpu);
    expect(outcome.inserts).toEqual(Array(3).fill(outcome.inserts[0]));
    expect(new Set(outcome.requestIds).size).toBe(1);
    expectOneUp(rig, outcome);
  });

  test('for longer than two minutes: the next zone', async () => {
    const rig = await openRig();
    rig.emulator.faults.answer({ error: resourceNotReady, calls, zones: ['us-central1-a'] });
    rig.emulator.faults.stockout();
    const outcome = await rig.up();
    expect(outcome.inserts.filter((zone) => zone !== 'us-central1-a')).toEqual(['us-central1-b', 'us-central1-c']);
    expect(outcome.tookMs).toBeGreaterThan(30_000);
    expect(outcome.tookMs).toBeLessThan(5 * 60_000);
    expectNothingLeft(rig);
  });

  test.each([false, true])('RESOURCE_NOT_READY in the operation: that order is over, so it is another one (something of it there: %s)', async (keepsTarget) => {
    const rig = await openRig();
    rig.emulator.faults.operationError({ errors: [{ code: 'RESOURCE_NOT_READY', message: 'Not ready.' }], times: 1, keepsTarget });
    const outcome = await rig.up(cpu);
    expect(outcome.inserts).toEqual(Array(2).fill(outcome.inserts[0]));
    expect(new Set(outcome.requestIds).size).toBe(2);
    expectOneUp(rig, outcome);
  });

  test('412 conditionNotMet: somebody else was faster', async () => {
    const rig = await openRig();
    const error = new ApiError({ status: 412, reason: 'conditionNotMet', message: 'Supplied fingerprint does not match current metadata fingerprint.' });
    rig.emulator.faults.answer({ error, calls, times: 1 });
    const outcome = await rig.up(cpu);
    expect(outcome.inserts).toEqual(Array(2).fill(outcome.inserts[0]));
    expectOneUp(rig, outcome);
  });
});
