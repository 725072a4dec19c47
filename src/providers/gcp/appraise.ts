/** What a machine is that was found by its label, and what it costs: for a ledger that does not know it. */
import type { MachineRef } from '../../core/machine.ts';
import type { GpuNeed, Offer } from '../../core/offer.ts';
import type { Catalogue } from './catalogue/catalogue.ts';
import { gpuNameOf } from './catalogue/gpu-names.ts';
import { machineTypeFacts } from './catalogue/machine-type.ts';
import type { Instance } from './gce-resources.ts';
import { lastOf, readInstanceRef, regionOf } from './instance-ref.ts';

/** What a list says of a machine beyond where it is; plain JSON, part of its ref. */
export interface FoundInstance {
  readonly type: string;
  readonly spot: boolean;
  readonly gpu: GpuNeed | null;
  /** All its disks, GB. */
  readonly diskGb: number;
}

export function foundInstance({ machineType, scheduling, guestAccelerators = [], disks = [] }: Instance): FoundInstance {
  const [attached] = guestAccelerators;
  const accelerator = attached?.acceleratorType === undefined ? null : lastOf(attached.acceleratorType);
  const gpu = accelerator === null ? null : { name: gpuNameOf(accelerator) ?? accelerator, count: attached?.acceleratorCount ?? 1 };
  const sizes = disks.map(({ diskSizeGb }) => Number(diskSizeGb ?? 0)).filter((size) => Number.isFinite(size));
  return { type: lastOf(machineType), spot: scheduling?.provisioningModel === 'SPOT', gpu, diskGb: sizes.reduce((sum, size) => sum + size, 0) };
}

/** null: the ref is none of a list's. Without a known price the offer says so, and costs nothing. */
export async function appraiseInstance(ref: MachineRef, catalogue: Catalogue, now: number, signal?: AbortSignal): Promise<Offer | null> {
  const found = ref.data['found'];
  if (!isFound(found)) return null;
  const { zone, publicIp } = readInstanceRef(ref);
  const { type, spot, diskGb } = found;
  const region = regionOf(zone);
  const machine = machineTypeFacts(type, found.gpu);
  const price = machine === null ? null : await priceOrNull(() => catalogue.priceOf(machine, { region, spot, diskGb, publicIp }, signal), signal);
  return {
    provider: 'gcp',
    region,
    zone,
    type,
    gpu: machine?.gpu ?? found.gpu,
    spot,
    price: { perHour: price?.perHour ?? 0, currency: 'USD' },
    asOf: price?.asOf ?? now,
    source: price === null ? 'not known' : `${price.source}, looked up when the machine was found again`,
    available: null,
  };
}

/** That the price can't be had keeps nobody from seeing the machine. */
async function priceOrNull<T>(ask: () => Promise<T>, signal: AbortSignal | undefined): Promise<T | null> {
  try {
    return await ask();
  } catch {
    signal?.throwIfAborted();
    return null;
  }
}

function isFound(value: unknown): value is FoundInstance {
  return (
    typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string' && 'diskGb' in value && typeof value.diskGb === 'number'
  );
}
