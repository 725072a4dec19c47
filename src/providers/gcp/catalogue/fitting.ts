/** Which machine types answer a need: exactly the GPUs asked for, at least the vCPUs and memory, and nothing dearer than needed. */
import { GpuRunError } from '../../../core/errors.ts';
import type { GpuNeed, ResourceNeed } from '../../../core/offer.ts';
import { type GpuName, gpuNameOf, gpuNames } from './gpu-names.ts';
import { type GceMachine, gpuCounts, machinesWithGpu, machinesWithoutGpu } from './machine-type.ts';
import { nearestName } from './nearest-name.ts';

export type Provisioning = 'standard' | 'spot' | 'flex-start' | 'reservation';

/** Where no `cpus` is given. Per GPU that is attached to N1: a data loader starves on fewer. */
const vcpusPerAttachedGpu: Readonly<Partial<Record<GpuName, number>>> = { T4: 4, P4: 4, V100: 8, P100: 8 };
const vcpusWithoutGpu = 2;

/**
 * The smallest type that fits, one a series: what a larger one of the series adds is not asked for, and where the small one is out of
 * stock the large one is as well. The count of GPUs is exact: nobody who asks for one wants to pay for two.
 * @throws GpuRunError `bad-input`: Compute Engine has no such machine; `no-capacity`: it is not sold this way; others may
 */
export function fittingMachines(need: ResourceNeed, provisioning: Provisioning): readonly GceMachine[] {
  const all = need.gpu === undefined ? machinesWithoutGpu() : gpuMachines(need.gpu);
  const leastVcpus = need.cpus ?? defaultVcpus(need.gpu);
  const large = all.filter(({ vcpus, memoryGib }) => vcpus >= leastVcpus && memoryGib >= (need.memoryGb ?? 0));
  if (large.length === 0) throw tooLarge(need, all);
  const sold = large.filter((machine) => isSold(machine, provisioning));
  if (sold.length === 0) throw notSoldThisWay(need, large);
  const smallest = new Map<string, GceMachine>();
  for (const machine of sold) {
    const before = smallest.get(machine.series);
    if (before === undefined || size(machine) < size(before)) smallest.set(machine.series, machine);
  }
  return [...smallest.values()];
}

function gpuMachines({ name, count }: GpuNeed): readonly GceMachine[] {
  const known = gpuNameOf(name);
  if (known === null) throw unknownGpu(name);
  const machines = machinesWithGpu(known, count);
  if (machines.length > 0) return machines;
  const counts = gpuCounts(known);
  throw nowhere('bad-input', `No machine of Compute Engine has ${count} x ${known}: it comes by ${spoken(counts)}.`, [
    `Ask for --gpu ${known}:${counts.find((other) => other > count) ?? counts.at(-1)}.`,
  ]);
}

function defaultVcpus(gpu: GpuNeed | undefined): number {
  if (gpu === undefined) return vcpusWithoutGpu;
  const name = gpuNameOf(gpu.name);
  return ((name === null ? undefined : vcpusPerAttachedGpu[name]) ?? 0) * gpu.count;
}

function isSold({ onDemand, spot }: GceMachine, provisioning: Provisioning): boolean {
  if (provisioning === 'spot') return spot;
  return provisioning === 'standard' ? onDemand : true;
}

/** What its price grows with: in every series 7.5 GiB cost about as much as one vCPU. */
function size({ vcpus, memoryGib }: GceMachine): number {
  return vcpus + memoryGib / 7.5;
}

function unknownGpu(name: string): GpuRunError {
  const near = nearestName(name.toUpperCase(), gpuNames);
  return nowhere('bad-input', `Compute Engine has no GPU '${name}'.`, [
    ...(near === null ? [] : [`Did you mean ${near}?`]),
    `It has ${gpuNames.join(', ')}.`,
    'gpu-run offers   shows what could be rented',
  ]);
}

function tooLarge({ cpus, memoryGb, gpu }: ResourceNeed, machines: readonly GceMachine[]): GpuRunError {
  const largest = machines.reduce<GceMachine | null>((best, machine) => (best === null || size(machine) > size(best) ? machine : best), null);
  const asked = [cpus === undefined ? null : `${cpus} vCPUs`, memoryGb === undefined ? null : `${memoryGb} GB of memory`].filter((word) => word !== null);
  const most = largest === null ? '' : ` The largest is ${largest.type}: ${largest.vcpus} vCPUs, ${largest.memoryGib} GiB.`;
  return nowhere(
    'bad-input',
    `No machine of Compute Engine${gpu === undefined ? '' : ` with ${gpu.count} x ${gpu.name}`} has ${asked.join(' and ') || 'room for that'}.${most}`,
    ['Ask for less (cpus:, memory:).'],
  );
}

function notSoldThisWay({ gpu }: ResourceNeed, machines: readonly GceMachine[]): GpuRunError {
  const what = gpu === undefined ? (machines[0]?.type ?? 'that') : `${gpu.count} x ${gpu.name} (${machines.map(({ type }) => type).join(', ')})`;
  const name = gpu === undefined ? null : gpuNameOf(gpu.name);
  const onDemand = name === null ? [] : gpuCounts(name).filter((count) => machinesWithGpu(name, count).some((machine) => machine.onDemand));
  return nowhere('no-capacity', `Google does not sell ${what} on demand: only as Spot, reserved, or by its queue.`, [
    'Add --spot.',
    ...(onDemand.length === 0 ? [] : [`On demand there is --gpu ${name}:${onDemand[0]}.`]),
    "Or 'gcp: { provisioning: flex-start }' in gpu-run.yaml, to wait in the queue.",
  ]);
}

function nowhere(code: 'bad-input' | 'no-capacity', message: string, hints: readonly string[]): GpuRunError {
  return new GpuRunError(code, message, { hints, retry: 'elsewhere', elsewhere: { rulesOut: 'provider' } });
}

/** `1, 2, 4 and 8`. */
function spoken(counts: readonly number[]): string {
  return counts.length < 2 ? counts.join('') : `${counts.slice(0, -1).join(', ')} and ${counts.at(-1)}`;
}
