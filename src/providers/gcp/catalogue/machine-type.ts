/**
 * What is known of Compute Engine's machine types beforehand: shape, GPUs, disks, and how they are sold.
 * Source of the families and shapes: Google's pages on accelerator-optimized and general-purpose machine families, 2026-11.
 */
import type { GpuNeed } from '../../../core/offer.ts';
import { acceleratorTypes, type GpuName, gpuNameOf } from './gpu-names.ts';
import { attachments, type BootDisk, builtIn, general, type Series } from './machine-table.ts';

export type { BootDisk, Series } from './machine-table.ts';

/** One machine type, with the GPUs that it has or gets. */
export interface GceMachine {
  /** `g2-standard-4` */
  readonly type: string;
  readonly series: Series;
  readonly vcpus: number;
  readonly memoryGib: number;
  /** In our terms: `A100-80GB`. null: none. */
  readonly gpu: { readonly name: GpuName; readonly count: number } | null;
  /** The API's name of the GPU: `nvidia-l4`. null: no GPU. */
  readonly acceleratorType: string | null;
  /** The GPUs are not part of the type (N1): `guestAccelerators` must be sent. Otherwise it must not. */
  readonly guestAccelerators: boolean;
  /** Comes with the type, without asking, and is billed with it. */
  readonly localSsdGib: number;
  /** The cheapest boot disk that the series takes. */
  readonly bootDisk: BootDisk;
  /** Can be had on demand in practice: false where Google sells Spot, reservations and queued starts only. */
  readonly onDemand: boolean;
  readonly spot: boolean;
}

/**
 * `gpu`: what the offer says; needed for N1, whose types have none of their own, and checked for the others.
 * null: not a type that we know, or it can't have these GPUs.
 */
export function machineTypeFacts(type: string, gpu: GpuNeed | null = null): GceMachine | null {
  return builtInMachine(type, gpu) ?? generalMachine(type, gpu);
}

/** Every machine that has exactly this GPU, this many. */
export function machinesWithGpu(name: GpuName, count: number): readonly GceMachine[] {
  const gpu = { name, count };
  const types = [...builtIn.map(({ type }) => type), ...general.map(({ type }) => type)];
  return types.map((type) => machineTypeFacts(type, gpu)).filter((machine) => machine !== null);
}

/** How many of this GPU one machine may have, ascending. */
export function gpuCounts(name: GpuName): readonly number[] {
  const counts = [...builtIn.filter(({ gpu }) => gpu === name).map(({ count }) => count), ...(attachments[name]?.map(({ count }) => count) ?? [])];
  return [...new Set(counts)].sort((a, b) => a - b);
}

export function machinesWithoutGpu(): readonly GceMachine[] {
  return general.map(({ type }) => machineTypeFacts(type)).filter((machine) => machine !== null);
}

function builtInMachine(type: string, gpu: GpuNeed | null): GceMachine | null {
  const row = builtIn.find((candidate) => candidate.type === type);
  if (row === undefined || (gpu !== null && (gpuNameOf(gpu.name) !== row.gpu || gpu.count !== row.count))) return null;
  const { series, vcpus, memoryGib, localSsdGib, bootDisk, onDemand } = row;
  const had = { name: row.gpu, count: row.count };
  return { type, series, vcpus, memoryGib, gpu: had, acceleratorType: row.accelerator, guestAccelerators: false, localSsdGib, bootDisk, onDemand, spot: true };
}

function generalMachine(type: string, gpu: GpuNeed | null): GceMachine | null {
  const row = general.find((candidate) => candidate.type === type);
  if (row === undefined) return null;
  const { series, vcpus, memoryGib } = row;
  const bare = { type, series, vcpus, memoryGib, localSsdGib: 0, bootDisk: 'pd-balanced', onDemand: true, spot: true } as const;
  if (gpu === null) return { ...bare, gpu: null, acceleratorType: null, guestAccelerators: false };
  const name = gpuNameOf(gpu.name);
  const attachment = name === null ? undefined : attachments[name]?.find(({ count }) => count === gpu.count);
  if (name === null || series !== 'n1' || attachment === undefined) return null;
  if (vcpus > attachment.maxVcpus || memoryGib > attachment.maxMemoryGib) return null;
  return { ...bare, gpu: { name, count: gpu.count }, acceleratorType: acceleratorTypes[name], guestAccelerators: true };
}
