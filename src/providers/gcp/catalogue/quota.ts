/**
 * What the project may still have, looked up before anything is ordered: a region without quota costs a failed order otherwise.
 * A metric that the API does not name is unknown, not zero (H100 and newer have theirs elsewhere).
 */
import { GpuRunError } from '../../../core/errors.ts';
import type { Quota } from '../gce-resources.ts';
import type { Provisioning } from './fitting.ts';
import type { GpuName } from './gpu-names.ts';
import type { GceMachine, Series } from './machine-type.ts';

/** `NVIDIA_` in front and `_GPUS` behind. Of the newer ones only the H100 has a metric here, and for Spot alone. */
const gpuMetrics: Readonly<Partial<Record<GpuName, string>>> = {
  T4: 'T4',
  P4: 'P4',
  V100: 'V100',
  P100: 'P100',
  L4: 'L4',
  A100: 'A100',
  'A100-80GB': 'A100_80GB',
  H100: 'H100',
};
/** Their GPUs count in `GPUS_ALL_REGIONS`; the newer families have a limit of their own. */
const countedGlobally: readonly GpuName[] = ['T4', 'P4', 'V100', 'P100', 'L4', 'A100', 'A100-80GB'];
const cpuMetrics: Readonly<Partial<Record<Series, string>>> = { n1: 'CPUS', e2: 'CPUS', n2: 'N2_CPUS', c3: 'C3_CPUS', a2: 'A2_CPUS', 'a2-ultra': 'A2_CPUS' };

export interface Shortage {
  /** `NVIDIA_L4_GPUS` */
  readonly metric: string;
  readonly limit: number;
  readonly usage: number;
  readonly needed: number;
  /** null: the whole project. */
  readonly region: string | null;
}

export interface Ordered {
  readonly machine: GceMachine;
  readonly nodes: number;
  readonly provisioning: Provisioning;
  readonly diskGb: number;
  /** Of the boot disk. */
  readonly diskType: string;
  readonly publicIp: boolean;
}

/** What of the region's quotas is too small; null: there is room as far as is known. */
export function regionShortage(order: Ordered, region: string, quotas: readonly Quota[]): Shortage | null {
  const { machine, nodes, diskGb, diskType, publicIp } = order;
  const gpu = machine.gpu === null ? undefined : gpuMetrics[machine.gpu.name];
  const cpu = cpuMetrics[machine.series];
  const asks: (readonly [string | undefined, string | undefined, number])[] = [
    [gpu && `NVIDIA_${gpu}_GPUS`, gpu && `PREEMPTIBLE_NVIDIA_${gpu}_GPUS`, machine.gpu?.count ?? 0],
    [cpu, cpu && 'PREEMPTIBLE_CPUS', machine.vcpus],
    [publicIp ? 'IN_USE_ADDRESSES' : undefined, undefined, 1],
    [diskType === 'pd-balanced' || diskType === 'pd-ssd' ? 'SSD_TOTAL_GB' : undefined, undefined, diskGb],
  ];
  return firstShortage(
    asks.map(([standard, preemptible, amount]) => short(quotaFor(quotas, standard, preemptible, order.provisioning), amount * nodes, region)),
  );
}

/** The same of the whole project. Queued starts and reservations have limits of their own. */
export function projectShortage({ machine, nodes, provisioning }: Ordered, quotas: readonly Quota[]): Shortage | null {
  if (provisioning === 'flex-start' || provisioning === 'reservation') return null;
  const { gpu, vcpus } = machine;
  const all = (metric: string) => quotas.find((quota) => quota.metric === metric);
  const gpus = gpu !== null && countedGlobally.includes(gpu.name) ? short(all('GPUS_ALL_REGIONS'), gpu.count * nodes, null) : null;
  return firstShortage([gpus, short(all('CPUS_ALL_REGIONS'), vcpus * nodes, null)]);
}

/** Spot and queued starts use the preemptible quota where the project has any, else the standard one. */
function quotaFor(quotas: readonly Quota[], standard: string | undefined, preemptible: string | undefined, provisioning: Provisioning): Quota | undefined {
  const find = (metric: string | undefined) => (metric === undefined ? undefined : quotas.find((quota) => quota.metric === metric));
  if (provisioning === 'reservation') return undefined;
  if (provisioning === 'standard') return find(standard);
  const own = find(preemptible);
  if (own !== undefined && own.limit > 0) return own;
  // A queued start is never refused for want of standard quota.
  return provisioning === 'spot' ? (find(standard) ?? own) : undefined;
}

function short(quota: Quota | undefined, needed: number, region: string | null): Shortage | null {
  if (quota === undefined || quota.limit - quota.usage >= needed) return null;
  const { metric, limit, usage } = quota;
  return { metric, limit, usage, needed, region };
}

function firstShortage(found: readonly (Shortage | null)[]): Shortage | null {
  return found.find((shortage) => shortage !== null) ?? null;
}

/** No region has room. `shortages`: one a region, cheapest first, or that of the project alone. */
export function quotaError(project: string, shortages: readonly Shortage[], gpu: string | null): GpuRunError {
  const worst = shortages.find(({ region }) => region === null) ?? shortages[0];
  if (worst === undefined) throw new Error('an error about quota needs a shortage');
  const { metric, limit, usage, needed, region } = worst;
  const page = `https://console.cloud.google.com/iam-admin/quotas?project=${encodeURIComponent(project)}`;
  const message =
    metric === 'GPUS_ALL_REGIONS' && limit === 0
      ? `The project '${project}' may not have any GPU yet: its quota 'GPUs (all regions)' (GPUS_ALL_REGIONS) is 0, as in every new project.`
      : `The project '${project}' has no quota for ${gpu ?? 'this machine'}: ${metric} is ${amount(limit)}${region === null ? ' for all regions together' : ` in ${region}`}, ${amount(usage)} in use, ${amount(needed)} needed.`;
  const others = [...new Set(shortages.filter((shortage) => shortage.region !== null && shortage !== worst).map((shortage) => shortage.region))];
  const alike = others.length === 0 ? [] : [`The same in ${others.slice(0, 8).join(', ')}${others.length > 8 ? ` and ${others.length - 8} more` : ''}.`];
  return new GpuRunError('quota', message, {
    hints: [
      `Ask Google for more: ${page} - filter for ${metric}${region === null ? '' : `, region ${region}`}, and set it to ${amount(usage + needed)} or more.`,
      ...(metric === 'GPUS_ALL_REGIONS' ? ['A free-trial billing account must be upgraded first. The answer comes by e-mail, often within minutes.'] : []),
      ...(usage > 0 ? ['Or end machines that use it: gpu-run status --refresh, gpu-run reap.'] : []),
      ...alike,
    ],
    retry: 'elsewhere',
    elsewhere: { rulesOut: 'provider' },
  });
}

function amount(count: number): string {
  return String(Math.round(count * 100) / 100);
}
