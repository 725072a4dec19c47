import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { gpuNames } from '../../../../../src/providers/gcp/catalogue/gpu-names.ts';
import { type GceMachine, gpuCounts, machinesWithGpu, machinesWithoutGpu, machineTypeFacts } from '../../../../../src/providers/gcp/catalogue/machine-type.ts';
import snapshot from '../../../../../src/providers/gcp/catalogue/price-snapshot.json' with { type: 'json' };
import { loadSnapshot, snapshotBook } from '../../../../../src/providers/gcp/catalogue/snapshot.ts';

const book = await loadSnapshot();
const machines: readonly GceMachine[] = [
  ...machinesWithoutGpu(),
  ...gpuNames.flatMap((name) => gpuCounts(name).flatMap((count) => machinesWithGpu(name, count))),
];

describe('the price list that ships', () => {
  test('is small', () => {
    const file = join(import.meta.dirname, '../../../../../src/providers/gcp/catalogue/price-snapshot.json');
    expect(statSync(file).size).toBeLessThan(60_000);
  });

  test('nowhere is Spot as dear as on demand, and nothing is free', () => {
    let compared = 0;
    for (const machine of machines) {
      for (const region of book.regions) {
        const [onDemand, spot] = [book.machine(machine, region, false), book.machine(machine, region, true)];
        for (const price of [onDemand, spot]) if (price !== null) expect(price.perHour).toBeGreaterThan(0.001);
        if (onDemand === null || spot === null) continue;
        expect(spot.perHour, `${machine.type} ${machine.gpu?.name} in ${region}`).toBeLessThan(onDemand.perHour);
        compared += 1;
      }
    }
    expect(compared).toBeGreaterThan(600);
  });

  test('every type in it is one that we know', () => {
    for (const type of Object.keys(snapshot.machines)) expect(machineTypeFacts(type), type).not.toBeNull();
  });

  test.each([
    ['g2-standard-4', null, 'us-central1', 0.7068, 0.3973],
    ['g2-standard-48', null, 'asia-southeast1', 4.937, 2.962],
    ['g4-standard-48', null, 'europe-west4', 4.95, 1.98],
    ['a2-highgpu-8g', null, 'us-central1', 29.387, 15.424],
    ['a2-ultragpu-1g', null, 'us-east4', 5.708, 2.367],
    ['a3-highgpu-8g', null, 'us-east4', 88.56, 36.32],
    ['a3-megagpu-8g', null, 'europe-west4', 118.24, 46.24],
    ['n1-standard-4', { name: 'T4', count: 1 }, 'asia-southeast1', 0.604, 0.145],
    ['n1-standard-8', { name: 'V100', count: 1 }, 'europe-west4', 3.022, 0.965],
    ['n1-standard-4', null, 'us-central1', 0.19, null],
    ['e2-standard-4', null, 'us-central1', 0.134, null],
    ['e2-standard-8', null, 'us-east4', 0.302, null],
  ])('%s %o in %s', (type, gpu, region, onDemand, spot) => {
    const machine = machineTypeFacts(type, gpu)!;
    expect(book.machine(machine, region, false)?.perHour).toBeCloseTo(onDemand, 2);
    if (spot !== null) expect(book.machine(machine, region, true)?.perHour).toBeCloseTo(spot, 2);
  });

  test('what is not known has no price, and every price says its date and where it is from', () => {
    expect(book.machine(machineTypeFacts('a4-highgpu-8g')!, 'us-central1', false)).toBeNull();
    expect(book.machine(machineTypeFacts('g2-standard-4')!, 'us-gov1', false)).toBeNull();
    expect(book.machine(machineTypeFacts('n1-standard-4', { name: 'P100', count: 1 })!, 'us-central1', false)).toBeNull();
    expect(book.machine(machineTypeFacts('g2-standard-4')!, 'us-central1', true)).toMatchObject({
      asOf: Date.UTC(2026, 6, 30),
      source: "Google's price list of 2026-07-30, snapshot",
    });
    expect(book.address(true)).toBe(0.005);
    expect([book.disk('pd-balanced', 'us-central1'), book.disk('pd-balanced', 'us-east4')]).toEqual([0.1, 0.11]);
  });

  test('a blank price in a line is not known', () => {
    const own = snapshotBook({
      machines: { 'g2-standard-4': '2026-01-02 here1=-/0.5 there1=1/-' },
      parts: {},
      diskGbMonth: { elsewhere: 0.1 },
      addressHour: 0.01,
    });
    const g2 = machineTypeFacts('g2-standard-4')!;
    expect([own.machine(g2, 'here1', false), own.machine(g2, 'there1', true)]).toEqual([null, null]);
    expect(own.machine(g2, 'here1', true)?.perHour).toBe(0.5);
    expect(own.regions).toEqual(['here1', 'there1']);
  });
});
