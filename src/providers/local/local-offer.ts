/** What this computer offers: itself, once, for nothing. */
import { existsSync, statfsSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { dirname } from 'node:path';
import type { Offer, ResourceNeed } from '../../core/offer.ts';
import { describeGpus, matchGpus } from './gpus.ts';

const bytesPerGb = 1e9;

/** null: it doesn't fit the need. `devices`: the GPUs here; `home`: where machines would live. */
export function localOffer(need: ResourceNeed, devices: readonly string[], home: string, now: number): Offer | null {
  const gpu = need.gpu === undefined ? describeGpus(devices) : matchGpus(devices, need.gpu);
  const fits =
    (need.gpu === undefined || gpu !== null) &&
    (need.cpus ?? 0) <= availableParallelism() &&
    (need.memoryGb ?? 0) * bytesPerGb <= totalmem() &&
    (need.diskGb === undefined || need.diskGb * bytesPerGb <= freeBytes(home)) &&
    !need.spot &&
    need.regions.length === 0 &&
    need.nodes === 1;
  if (!fits) return null;
  return {
    provider: 'local',
    region: null,
    zone: null,
    type: `local-${process.arch}-${availableParallelism()}cpu`,
    gpu,
    spot: false,
    price: { perHour: 0, currency: 'USD' },
    asOf: now,
    source: 'this computer',
    available: true,
  };
}

function freeBytes(folder: string): number {
  let existing = folder;
  while (!existsSync(existing)) existing = dirname(existing);
  const { bavail, bsize } = statfsSync(existing);
  return bavail * bsize;
}
