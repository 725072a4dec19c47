import { describe, expect, test } from 'vitest';
import type { OfferOptions } from '../../../../../src/providers/gcp/catalogue/catalogue.ts';
import { refused } from './fake-api.ts';
import { bare, failure, l4, need, open, zonesOf } from './open-catalogue.ts';

describe('quota', () => {
  const quota = (metric: string, limit: number, usage = 0) => ({ metric, limit, usage });

  test('regions without room are left out', async () => {
    const quotas = { 'us-central1': [quota('NVIDIA_L4_GPUS', 4, 4)], 'us-east4': [quota('NVIDIA_L4_GPUS', 0)], 'europe-west4': [quota('NVIDIA_L4_GPUS', 1)] };
    expect(zonesOf(await open({ types: l4, quotas }).offers(need('L4:1')))).toEqual(['europe-west4-a']);
  });

  test('none has room: metric, limit, usage, region and the page are named', async () => {
    const short = [quota('NVIDIA_L4_GPUS', 1, 1)];
    const quotas = { 'us-central1': short, 'us-east4': short, 'europe-west4': short };
    const error = await failure(open({ types: l4, quotas }).offers(need('L4:1')));
    expect(error).toMatchObject({ code: 'quota', retry: 'elsewhere', elsewhere: { rulesOut: 'provider' } });
    expect(error.message).toBe("The project 'p1' has no quota for 1 x L4: NVIDIA_L4_GPUS is 1 in us-east4, 1 in use, 1 needed.");
    expect(error.hints[0]).toContain('https://console.cloud.google.com/iam-admin/quotas?project=p1');
    expect(error.hints[0]).toContain('set it to 2 or more');
    expect(error.hints.join()).toContain('The same in us-central1, europe-west4.');
  });

  test('a new project may have no GPU at all: says which quota, and where to ask', async () => {
    const error = await failure(open({ types: l4, projectQuotas: [quota('GPUS_ALL_REGIONS', 0)] }).offers(need('L4:1')));
    expect(error.code).toBe('quota');
    expect(error.message).toContain("'GPUs (all regions)' (GPUS_ALL_REGIONS) is 0");
    expect(error.hints[0]).toMatch(
      /^Ask Google for more: https:\/\/console\.cloud\.google\.com\/iam-admin\/quotas\?project=p1 - filter for GPUS_ALL_REGIONS, and set it to 1 or more\.$/,
    );
    const cpu = open({ types: { 'n1-standard-2': ['us-central1-a'] }, projectQuotas: [quota('GPUS_ALL_REGIONS', 0)] });
    expect((await cpu.offers(need(null))).length).toBe(1);
  });

  test('Spot uses the preemptible quota, and the standard one where there is none', async () => {
    const on = async (quotas: { metric: string; limit: number; usage: number }[], spot: boolean) =>
      (
        await open({ types: { 'g2-standard-4': ['us-east4-c'] }, quotas: { 'us-east4': quotas } })
          .offers(need('L4:1', { spot }))
          .catch(() => [])
      ).length;
    expect(await on([quota('NVIDIA_L4_GPUS', 0), quota('PREEMPTIBLE_NVIDIA_L4_GPUS', 1)], true)).toBe(1);
    expect(await on([quota('NVIDIA_L4_GPUS', 0), quota('PREEMPTIBLE_NVIDIA_L4_GPUS', 1)], false)).toBe(0);
    expect(await on([quota('NVIDIA_L4_GPUS', 1), quota('PREEMPTIBLE_NVIDIA_L4_GPUS', 0)], true)).toBe(1);
    expect(await on([quota('NVIDIA_L4_GPUS', 1), quota('PREEMPTIBLE_NVIDIA_L4_GPUS', 1, 1)], true)).toBe(0);
    expect(await on([quota('NVIDIA_L4_GPUS', 0), quota('PREEMPTIBLE_NVIDIA_L4_GPUS', 0)], true)).toBe(0);
    expect(await on([quota('NVIDIA_L4_GPUS', 1)], true)).toBe(1);
    expect(await on([], true)).toBe(1);
  });

  test('a metric that is not there is not zero, and nodes, disks, addresses and vCPUs count', async () => {
    const one = { types: { 'a2-highgpu-1g': ['us-central1-a'], 'a3-highgpu-8g': ['us-central1-a'] } };
    const on = async (quotas: { metric: string; limit: number; usage: number }[], options: Partial<OfferOptions> = {}, gpu = 'A100:1', nodes = 1) =>
      (
        await open({ ...one, quotas: { 'us-central1': quotas } })
          .offers(need(gpu, { nodes }), { ...bare, ...options })
          .catch(() => [])
      ).length;
    expect(await on([], {}, 'H100:8')).toBe(1);
    expect(await on([quota('NVIDIA_A100_GPUS', 2)], {}, 'A100:1', 2)).toBe(1);
    expect(await on([quota('NVIDIA_A100_GPUS', 2)], {}, 'A100:1', 3)).toBe(0);
    expect(await on([quota('A2_CPUS', 11)])).toBe(0);
    expect(await on([quota('SSD_TOTAL_GB', 99)])).toBe(0);
    expect(await on([quota('SSD_TOTAL_GB', 100)])).toBe(1);
    expect(await on([quota('SSD_TOTAL_GB', 99)], { diskType: 'pd-standard' })).toBe(1);
    expect(await on([quota('SSD_TOTAL_GB', 99)], { diskType: 'pd-ssd' })).toBe(0);
    expect(await on([quota('IN_USE_ADDRESSES', 8, 8)])).toBe(0);
    expect(await on([quota('IN_USE_ADDRESSES', 8, 8)], { publicIp: false })).toBe(1);
  });

  test('a queued start and a reservation are not refused for want of standard quota', async () => {
    const quotas = { 'us-central1': [quota('NVIDIA_A100_GPUS', 0)] };
    const parts = { types: { 'a2-highgpu-1g': ['us-central1-a'] }, quotas, projectQuotas: [quota('GPUS_ALL_REGIONS', 0)] };
    for (const provisioning of ['flex-start', 'reservation'] as const)
      expect((await open(parts).offers(need('A100:1'), { ...bare, provisioning })).length).toBe(1);
  });

  test('credentials that may not read quotas cost nothing but the look-up', async () => {
    const fail = { listRegions: refused('GET regions'), getProject: refused('GET project') };
    const { offers, lines } = open({ types: l4, fail });
    expect((await offers(need('L4:1'))).length).toBe(4);
    expect(lines.join()).toContain('quotas');
  });
});
