import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { GpuNeed, ResourceNeed } from '../../../src/core/offer.ts';
import { matchGpus } from '../../../src/providers/local/gpus.ts';
import { createLocalProvider } from '../../../src/providers/local/local-provider.ts';
import { createFakeClock } from '../../../src/testing/index.ts';
import { anyNeed, collect } from '../../contract/provider.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A driver's tool that says `output`. */
function installSmi(output: string, exitCode = 0): void {
  writeFileSync(join(folder, 'said'), output);
  writeFileSync(join(folder, 'nvidia-smi'), `#!/bin/sh\n[ "$*" = -L ] || exit 9\n/bin/cat '${join(folder, 'said')}'\nexit ${exitCode}\n`);
  chmodSync(join(folder, 'nvidia-smi'), 0o755);
}

async function offerFor(changes: Partial<ResourceNeed> = {}) {
  const clock = createFakeClock();
  const provider = createLocalProvider({ home: join(folder, 'not-made', 'local'), machineProcess: '/none', node: '/none', env: { PATH: folder }, clock });
  const offers = await collect(provider.offers({ ...anyNeed, ...changes }));
  expect(offers.length).toBeLessThanOrEqual(1);
  return offers[0] ?? null;
}

const twoA100 = `GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-5fd4f087-86f3-7a43-b711-4771313afc50)
  MIG 3g.40gb     Device  0: (UUID: MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f)
GPU 1: NVIDIA A100-SXM4-80GB (UUID: GPU-6fd4f087-86f3-7a43-b711-4771313afc51)
`;

describe('offers of local', () => {
  test('without a GPU: this computer, for nothing', async () => {
    const type = `local-${process.arch}-${availableParallelism()}cpu`;
    expect(await offerFor()).toMatchObject({ type, region: null, gpu: null, price: { perHour: 0, currency: 'USD' }, available: true });
  });

  test('with GPUs: what the driver says', async () => {
    installSmi(twoA100);
    expect(await offerFor()).toMatchObject({ gpu: { name: 'A100-SXM4-80GB', count: 2 } });
    expect(await offerFor({ gpu: { name: 'a100-80gb', count: 1 } })).toMatchObject({ gpu: { name: 'a100-80gb', count: 2 } });
  });

  test('a GPU that is not there is not offered', async () => {
    expect(await offerFor({ gpu: { name: 'L4', count: 1 } })).toBeNull();
    installSmi(twoA100);
    expect(await offerFor({ gpu: { name: 'L4', count: 1 } })).toBeNull();
    expect(await offerFor({ gpu: { name: 'A100', count: 3 } })).toBeNull();
  });

  test('a driver that does not answer offers no GPU', async () => {
    installSmi('NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver.\n', 9);
    expect(await offerFor()).toMatchObject({ gpu: null });
    expect(await offerFor({ gpu: { name: 'A100', count: 1 } })).toBeNull();
  });

  test.each<[string, Partial<ResourceNeed>]>([
    ['more cpus', { cpus: availableParallelism() + 1 }],
    ['more memory', { memoryGb: totalmem() / 1e9 + 1 }],
    ['more disk', { diskGb: 1e9 }],
    ['a spot machine', { spot: true }],
    ['a region', { regions: ['us-central1'] }],
    ['two nodes', { nodes: 2 }],
  ])('%s than it has: no offer', async (_what, changes) => {
    expect(await offerFor(changes)).toBeNull();
  });

  test('what it has fits', async () => {
    expect(await offerFor({ cpus: 1, memoryGb: 0.1, diskGb: 0.001 })).not.toBeNull();
  });
});

describe('matchGpus', () => {
  test.each<[string, string, boolean]>([
    ['NVIDIA L4', 'L4', true],
    ['NVIDIA L40S', 'L4', false],
    ['NVIDIA A100-SXM4-80GB', 'A100', true],
    ['NVIDIA A100-SXM4-80GB', 'A100-80GB', true],
    ['NVIDIA A100-SXM4-40GB', 'A100-80GB', false],
    ['NVIDIA GeForce RTX 4090', 'RTX4090', true],
    ['NVIDIA GeForce RTX 4090', 'rtx-4090', true],
    ['NVIDIA GeForce RTX 4090', '4090', true],
    ['NVIDIA H100 80GB HBM3', 'H100', true],
    ['Tesla T4', 't4', true],
    ['NVIDIA H200', '-', false],
  ])('%s is called %s: %s', (device, name, called) => {
    const need: GpuNeed = { name, count: 1 };
    expect(matchGpus([device], need)).toEqual(called ? need : null);
  });

  test('counts only the kind that is asked for', () => {
    const devices = ['NVIDIA L4', 'NVIDIA H100 80GB HBM3', 'NVIDIA L4'];
    expect(matchGpus(devices, { name: 'L4', count: 2 })).toEqual({ name: 'L4', count: 2 });
    expect(matchGpus(devices, { name: 'H100', count: 2 })).toBeNull();
  });
});
