import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { acceleratorTypes, gpuNameOf, gpuNames } from '../../../../../src/providers/gcp/catalogue/gpu-names.ts';
import { gpuCounts, machinesWithGpu, machinesWithoutGpu, machineTypeFacts } from '../../../../../src/providers/gcp/catalogue/machine-type.ts';

describe('machine types', () => {
  test('a type with GPUs of its own', () => {
    expect(machineTypeFacts('a2-ultragpu-2g')).toEqual({
      type: 'a2-ultragpu-2g',
      series: 'a2-ultra',
      vcpus: 24,
      memoryGib: 340,
      gpu: { name: 'A100-80GB', count: 2 },
      acceleratorType: 'nvidia-a100-80gb',
      guestAccelerators: false,
      localSsdGib: 750,
      bootDisk: 'pd-balanced',
      onDemand: true,
      spot: true,
    });
    expect(machineTypeFacts('a2-ultragpu-2g', { name: 'a100-80', count: 2 })).toEqual(machineTypeFacts('a2-ultragpu-2g'));
    expect(machineTypeFacts('a2-ultragpu-2g', { name: 'A100-80GB', count: 1 })).toBeNull();
    expect(machineTypeFacts('a2-ultragpu-2g', { name: 'A100', count: 2 })).toBeNull();
  });

  test('N1 gets its GPUs attached, within its limits', () => {
    expect(machineTypeFacts('n1-standard-8', { name: 't4', count: 2 })).toMatchObject({
      gpu: { name: 'T4', count: 2 },
      acceleratorType: 'nvidia-tesla-t4',
      guestAccelerators: true,
      vcpus: 8,
      memoryGib: 30,
    });
    expect(machineTypeFacts('n1-standard-16', { name: 'V100', count: 1 })).toBeNull();
    expect(machineTypeFacts('n1-highmem-16', { name: 'V100', count: 2 })).not.toBeNull();
    expect(machineTypeFacts('n1-standard-8', { name: 'T4', count: 3 })).toBeNull();
    expect(machineTypeFacts('n1-standard-8', { name: 'L4', count: 1 })).toBeNull();
    expect(machineTypeFacts('e2-standard-8', { name: 'T4', count: 1 })).toBeNull();
    expect(machineTypeFacts('n1-standard-8')).toMatchObject({ gpu: null, guestAccelerators: false, acceleratorType: null });
  });

  test('what there is not', () => {
    expect(machineTypeFacts('z9-standard-4')).toBeNull();
    expect(machineTypeFacts('constructor')).toBeNull();
    expect(machinesWithGpu('L4', 3)).toEqual([]);
  });

  test('every GPU comes in some counts, and each of those is a machine', () => {
    for (const name of gpuNames) {
      expect(gpuCounts(name).length).toBeGreaterThan(0);
      for (const count of gpuCounts(name)) expect(machinesWithGpu(name, count).length, `${name}:${count}`).toBeGreaterThan(0);
    }
    expect(gpuCounts('L4')).toEqual([1, 2, 4, 8]);
    expect(gpuCounts('A100')).toEqual([1, 2, 4, 8, 16]);
    expect(machinesWithGpu('H100', 8).map(({ type }) => type)).toEqual(['a3-highgpu-8g', 'a3-megagpu-8g']);
    expect(machinesWithoutGpu().every(({ gpu }) => gpu === null)).toBe(true);
  });

  test('only hyperdisk for the newest, and none of these is sold on demand by mistake', () => {
    const disks = (series: string) =>
      gpuNames.flatMap((name) => gpuCounts(name).flatMap((count) => machinesWithGpu(name, count))).filter((m) => m.series === series);
    for (const series of ['a3-ultra', 'a4', 'g4']) expect(new Set(disks(series).map(({ bootDisk }) => bootDisk))).toEqual(new Set(['hyperdisk-balanced']));
    for (const series of ['a3-ultra', 'a4', 'a3-mega']) expect(disks(series).some(({ onDemand }) => onDemand)).toBe(false);
  });
});

describe('names of GPUs', () => {
  test.each([
    ['l4', 'L4'],
    ['A100-40GB', 'A100'],
    ['a100-80', 'A100-80GB'],
    ['a100-80gb', 'A100-80GB'],
    ['nvidia-tesla-t4', 'T4'],
    ['Tesla V100', 'V100'],
    ['nvidia-h100-80gb', 'H100'],
    ['nvidia-h100-mega-80gb', 'H100'],
    ['RTXPRO6000', 'RTX-PRO-6000'],
    ['rtx_pro_6000', 'RTX-PRO-6000'],
  ])('%s is %s', (text, name) => expect(gpuNameOf(text)).toBe(name));

  test('property: ours and the API’s names are found in any case, and others are not', () => {
    const mixed = (word: string) =>
      fc
        .array(fc.boolean(), { minLength: word.length, maxLength: word.length })
        .map((ups) => [...word].map((c, i) => (ups[i] ? c.toUpperCase() : c.toLowerCase())).join(''));
    fc.assert(
      fc.property(
        fc.constantFrom(...gpuNames).chain((name) => fc.tuple(fc.constant(name), mixed(name), mixed(acceleratorTypes[name]))),
        ([name, ours, theirs]) => {
          expect([gpuNameOf(ours), gpuNameOf(theirs)]).toEqual([name, name]);
          expect(gpuNameOf(`${ours}X`)).toBeNull();
        },
      ),
    );
    expect(gpuNameOf('toString')).toBeNull();
  });
});
