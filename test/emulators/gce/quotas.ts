/** Limits of regions and of the project, and what counts against them. */
import { ApiError } from './api-error.ts';
import { regionOf } from './catalogue.ts';
import { gpuKinds } from './catalogue-data.ts';
import type { InstanceRecord, World } from './world.ts';

const gpuMetrics = Object.values(gpuKinds).flatMap(({ metric }) => (metric === undefined ? [] : [metric, `PREEMPTIBLE_${metric}`]));

const regionDefaults: Readonly<Record<string, number>> = {
  CPUS: 2400,
  IN_USE_ADDRESSES: 575,
  SSD_TOTAL_GB: 81920,
  DISKS_TOTAL_GB: 102400,
  ...Object.fromEntries(gpuMetrics.map((metric) => [metric, 64])),
  PREEMPTIBLE_NVIDIA_H100_GPUS: 64,
};

const projectDefaults: Readonly<Record<string, number>> = { GPUS_ALL_REGIONS: 256, CPUS_ALL_REGIONS: 10000, NETWORKS: 50, FIREWALLS: 500 };

/** The metrics that this order counts against, with amounts. */
type Wanted = Pick<InstanceRecord, 'zone' | 'type' | 'gpus' | 'spot'>;

export function regionQuotas(world: World, region: string): readonly Quota[] {
  const inRegion = [...world.instances.values()].filter(({ zone }) => regionOf(zone) === region);
  return Object.entries(regionDefaults).map(([metric, standard]) => ({
    metric,
    limit: limitOf(world, metric, standard, region),
    usage: sum(inRegion, (instance) => regionalUse(instance)[metric] ?? 0),
  }));
}

export function projectQuotas(world: World): readonly Quota[] {
  const all = [...world.instances.values()];
  return Object.entries(projectDefaults).map(([metric, standard]) => ({
    metric,
    limit: limitOf(world, metric, standard, null),
    usage: metric === 'GPUS_ALL_REGIONS' ? sum(all, ({ gpus }) => gpus?.count ?? 0) : 0,
  }));
}

interface Quota {
  readonly metric: string;
  readonly limit: number;
  readonly usage: number;
}

/** 403 as the API says it at once. */
export function checkQuota(world: World, wanted: Wanted): void {
  const region = regionOf(wanted.zone);
  const refuse = ({ metric, limit }: Quota, where: string) => {
    throw new ApiError({ status: 403, reason: 'quotaExceeded', message: `Quota '${metric}' exceeded.  Limit: ${limit.toFixed(1)} ${where}.` });
  };
  for (const quota of projectQuotas(world)) {
    if (quota.metric === 'GPUS_ALL_REGIONS' && wanted.gpus !== null && quota.usage + wanted.gpus.count > quota.limit) refuse(quota, 'globally');
  }
  const use = regionalUse(wanted);
  for (const quota of regionQuotas(world, region)) {
    if (quota.usage + (use[quota.metric] ?? 0) > quota.limit) refuse(quota, `in region ${region}`);
  }
}

function regionalUse({ type, gpus, spot }: Wanted): Readonly<Record<string, number>> {
  const metric = gpus?.kind.metric;
  const counted = metric === undefined ? {} : { [spot ? `PREEMPTIBLE_${metric}` : metric]: gpus?.count ?? 0 };
  return { CPUS: gpus === null ? type.guestCpus : 0, IN_USE_ADDRESSES: 1, ...counted };
}

function limitOf(world: World, metric: string, standard: number, region: string | null): number {
  const { quotas } = world.options;
  const here = region === null ? undefined : (world.quotas.get(`${region}/${metric}`) ?? quotas[`${region}/${metric}`]);
  return here ?? world.quotas.get(metric) ?? quotas[metric] ?? standard;
}

function sum<T>(items: readonly T[], amount: (item: T) => number): number {
  return items.reduce((total, item) => total + amount(item), 0);
}
