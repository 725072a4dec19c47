/** No stock and no quota: where `up` goes next, what it costs, and what it says in the end. */
import { describe, expect, test } from 'vitest';
import type { StockoutCode } from '../../../emulators/gce/fault-switches.ts';
import { expectNothingLeft, expectOneUp, openRig, prepareRigs } from './up-rig.ts';

prepareRigs();

const central = ['us-central1-a', 'us-central1-b', 'us-central1-c'];
const twoRegions = ['us-central1', 'us-east1'];
const regionOf = (zone: string) => zone.slice(0, -2);

describe('no stock', () => {
  test.each<StockoutCode>(['ZONE_RESOURCE_POOL_EXHAUSTED', 'ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS', 'GPU_STOCKOUT'])(
    '%s: each zone is asked once, and nothing is cleared up that never was',
    async (code) => {
      const rig = await openRig();
      rig.emulator.faults.stockout({ code });
      const outcome = await rig.up();
      expect(outcome.error).toMatchObject({ code: 'no-capacity', retry: 'elsewhere' });
      expect(outcome.inserts).toEqual(central);
      expect(new Set(outcome.requestIds).size).toBe(3);
      expect(outcome.calls('instances.delete')).toBe(0);
      expect(outcome.text).toContain(code);
      expectNothingLeft(rig);
    },
  );

  test('503 insufficientCapacity is no trouble of the server: once in each zone, too', async () => {
    const rig = await openRig();
    rig.emulator.faults.stockout({ http: true });
    const outcome = await rig.up();
    expect(outcome.error?.code).toBe('no-capacity');
    expect(outcome.inserts).toEqual(central);
    expectNothingLeft(rig);
  });

  test.each<StockoutCode>(['REGION_RESOURCE_POOL_EXHAUSTED', 'RESOURCE_POOL_EXHAUSTED'])('%s: the region has no other zone to try', async (code) => {
    const rig = await openRig();
    rig.emulator.faults.stockout({ code });
    const outcome = await rig.up({ regions: twoRegions });
    expect(outcome.error?.code).toBe('no-capacity');
    expect(outcome.inserts.map(regionOf).sort()).toEqual(twoRegions);
    expectNothingLeft(rig);
  });

  test('the zones that Google names come next', async () => {
    const rig = await openRig();
    rig.emulator.faults.stockout({ zones: ['us-central1-a', 'us-central1-b'], zonesWithCapacity: ['us-central1-c'] });
    const outcome = await rig.up();
    expect(outcome.inserts).toEqual(['us-central1-a', 'us-central1-c']);
    expectOneUp(rig, outcome, 'us-central1-c');
  });

  test('a zone without stock is asked last for half an hour', async () => {
    const rig = await openRig();
    rig.emulator.faults.stockout();
    expect((await rig.up({ regions: ['us-central1-a'] })).inserts).toEqual(['us-central1-a']);
    expect((await rig.up()).inserts).toEqual(['us-central1-b', 'us-central1-c', 'us-central1-a']);
    await rig.clock.sleep(31 * 60_000);
    expect((await rig.up()).inserts).toEqual(central);
    expectNothingLeft(rig);
  });

  test('the first 30 zones have none: up after 31 orders', async () => {
    const rig = await openRig();
    const stockout = rig.emulator.faults.stockout({ times: 30 });
    const outcome = await rig.up({ regions: [] });
    expect(stockout.hits()).toBe(30);
    expect(outcome.inserts).toHaveLength(31);
    expect(new Set(outcome.inserts).size).toBe(31);
    expect(outcome.calls('instances.delete')).toBe(0);
    expectOneUp(rig, outcome);
  });

  test.each([false, true])('UNSUPPORTED_OPERATION of a Spot machine: taken back, whether something of it is there (%s) or not', async (keepsTarget) => {
    const rig = await openRig();
    rig.emulator.faults.operationError({ errors: [{ code: 'UNSUPPORTED_OPERATION', message: 'The operation is not supported.' }], keepsTarget });
    const outcome = await rig.up();
    expect(outcome.error?.code).toBe('no-capacity');
    expect(outcome.inserts).toEqual(central);
    expectNothingLeft(rig);
  });
});

describe('no quota', () => {
  const regional = { metric: 'PREEMPTIBLE_NVIDIA_L4_GPUS', limit: 0, region: 'us-central1' };

  test.each([false, true])('of a region (at once: %s): its other zones are left out', async (http) => {
    const rig = await openRig();
    rig.emulator.faults.quota({ ...regional, regions: ['us-central1'], http });
    rig.emulator.faults.stockout({ regions: ['us-east1'] });
    const outcome = await rig.up({ regions: twoRegions });
    expect(outcome.inserts.toSorted()).toEqual(['us-central1-a', 'us-east1-b', 'us-east1-c', 'us-east1-d']);
    expect(outcome.error).toMatchObject({ code: 'quota', retry: 'elsewhere' }); // what one can do something about
    expect(outcome.error?.message).toContain('PREEMPTIBLE_NVIDIA_L4_GPUS is 0 in us-central1');
    expect(outcome.text).toContain(`https://console.cloud.google.com/iam-admin/quotas?project=${rig.emulator.project}`);
    expectNothingLeft(rig);
  });

  test.each([false, true])('of the whole project (at once: %s): one order, and no more', async (http) => {
    const rig = await openRig();
    rig.emulator.faults.quota({ metric: 'GPUS_ALL_REGIONS', limit: 0, region: null, http });
    const outcome = await rig.up({ regions: twoRegions });
    expect(outcome.inserts).toHaveLength(1);
    expect(outcome.error?.code).toBe('quota');
    expect(outcome.error?.message).toContain('GPUS_ALL_REGIONS is 0');
    expect(outcome.text).toContain('https://console.cloud.google.com/iam-admin/quotas');
    expectNothingLeft(rig);
  });

  test('together with no stock: it is the quota', async () => {
    const rig = await openRig();
    const errors = [
      { code: 'ZONE_RESOURCE_POOL_EXHAUSTED', message: 'The zone does not have enough resources available to fulfill the request.' },
      { code: 'QUOTA_EXCEEDED', message: "Quota 'PREEMPTIBLE_NVIDIA_L4_GPUS' exceeded.  Limit: 1.0 in region us-central1." },
    ];
    rig.emulator.faults.operationError({ errors, httpStatus: 403 });
    const outcome = await rig.up();
    expect(outcome.inserts).toEqual(['us-central1-a']);
    expect(outcome.error?.code).toBe('quota');
    expect(outcome.error?.message).toContain('PREEMPTIBLE_NVIDIA_L4_GPUS is 1 in us-central1');
    expectNothingLeft(rig);
  });

  test('is looked up first: what has none costs no order', async () => {
    const rig = await openRig();
    rig.emulator.setQuota('us-central1/NVIDIA_L4_GPUS', 0);
    rig.emulator.faults.stockout();
    const elsewhere = await rig.up({ regions: twoRegions, spot: false });
    expect(elsewhere.inserts).toEqual(['us-east1-b', 'us-east1-c', 'us-east1-d']);
    const project = await openRig();
    project.emulator.setQuota('GPUS_ALL_REGIONS', 0);
    const nowhere = await project.up({ regions: [] });
    expect(nowhere.inserts).toEqual([]);
    expect(nowhere.error?.code).toBe('quota');
    expect(nowhere.text).toContain('GPUS_ALL_REGIONS');
    expectNothingLeft(rig);
    expectNothingLeft(project);
  });
});
