/** The price of a machine from the prices of its parts, as Google bills it. */
import type { GpuName } from './gpu-names.ts';
import type { BootDisk, GceMachine, Series } from './machine-type.ts';
import { hourly, type MachinePrice, type PriceBook } from './price-book.ts';
import { type Rate, type RateKey, rateKeys } from './sku.ts';

/** USD, by `KEY|REGION|SOLD`; plain JSON. */
export type RateTable = Readonly<Record<string, number>>;

/** The product lines of vCPUs and memory; more than one: the first that has prices. null: the GPU's price holds them. */
const hostLines: Readonly<Record<Series, readonly string[] | null>> = {
  n1: ['N1 Predefined'],
  e2: ['E2'],
  n2: ['N2'],
  c3: ['C3'],
  g2: ['G2'],
  g4: ['G4'],
  a2: ['A2'],
  'a2-ultra': ['A2'],
  a3: ['A3'],
  'a3-mega': ['A3Plus', 'A3'],
  'a3-ultra': ['A3Ultra'],
  a4: null,
};

const gpuProducts: Readonly<Record<GpuName, readonly string[]>> = {
  T4: ['Nvidia Tesla T4 GPU'],
  P4: ['Nvidia Tesla P4 GPU'],
  V100: ['Nvidia Tesla V100 GPU'],
  P100: ['Nvidia Tesla P100 GPU'],
  L4: ['Nvidia L4 GPU'],
  'RTX-PRO-6000': ['RTX 6000 96GB'],
  A100: ['Nvidia Tesla A100 GPU'],
  'A100-80GB': ['Nvidia Tesla A100 80GB GPU'],
  H100: ['Nvidia H100 80GB GPU'],
  H200: ['H200 141GB GPU', 'Nvidia H200 141GB GPU'],
  B200: ['A4 Nvidia B200 (1 gpu slice)'],
};
const megaGpus = ['Nvidia H100 80GB Mega GPU', 'Nvidia H100 80GB Plus GPU'];

/** Added to `before`. Two prices of one thing: the higher, since a bill below what was announced hurts nobody. */
export function rateTable(rates: Iterable<Rate>, before: RateTable = {}): RateTable {
  const table: Record<string, number> = { ...before };
  for (const { key, spot, regions, usd } of rates) {
    for (const region of regions) {
      const place = placeOf(key, region, spot);
      table[place] = Math.max(table[place] ?? 0, usd);
    }
  }
  return table;
}

/** `asOf`: when the table was read, milliseconds since the epoch. */
export function rateBook(table: RateTable, asOf: number): PriceBook {
  const rate = (key: RateKey, region: string, spot: boolean): number | null => {
    const place = placeOf(key, region, spot);
    return (Object.hasOwn(table, place) ? table[place] : undefined) ?? null;
  };
  /** On demand must be dearer than Spot: if not, one of the two is another product's price, and the lower one is not believed. */
  const guarded = (ask: (spot: boolean) => number | null, spot: boolean): number | null => {
    const price = ask(spot);
    if (spot || price === null) return price;
    const spotPrice = ask(true);
    return spotPrice !== null && price <= spotPrice ? null : price;
  };
  const firstRate = (keys: readonly RateKey[], region: string, spot: boolean): number | null => {
    for (const key of keys) {
      const price = guarded((asSpot) => rate(key, region, asSpot), spot);
      if (price !== null) return price;
    }
    return null;
  };
  const sum = (machine: GceMachine, region: string, spot: boolean): number | null => {
    const { series, vcpus, memoryGib, gpu, localSsdGib } = machine;
    const lines = hostLines[series];
    const gpus = gpu === null ? [] : series === 'a3-mega' ? megaGpus : gpuProducts[gpu.name];
    const ssd = localSsdGib === 0 ? 0 : rate(rateKeys.localSsd, region, spot);
    const parts = [
      lines === null ? 0 : times(firstRate(lines.map(rateKeys.core), region, spot), vcpus),
      lines === null ? 0 : times(firstRate(lines.map(rateKeys.ram), region, spot), memoryGib),
      gpu === null ? 0 : times(firstRate(gpus.map(rateKeys.gpu), region, spot), gpu.count),
      times(ssd, hourly(localSsdGib)),
    ];
    return parts.reduce<number | null>((total, part) => (total === null || part === null ? null : total + part), 0);
  };
  const source = 'Cloud Billing catalog';
  return {
    machine(machine, region, spot): MachinePrice | null {
      const perHour = guarded((asSpot) => sum(machine, region, asSpot), spot);
      return perHour === null ? null : { perHour, asOf, source };
    },
    disk: (disk: BootDisk, region) => rate(disk === 'pd-balanced' ? rateKeys.balancedDisk : rateKeys.hyperdisk, region, false),
    address: (spot) => rate(rateKeys.address, 'global', spot) ?? rate(rateKeys.address, 'us-central1', spot),
    regions: [...new Set(Object.keys(table).map((place) => place.split('|')[1] ?? ''))].filter((region) => region !== '' && region !== 'global').sort(),
  };
}

function times(price: number | null, count: number): number | null {
  return price === null ? null : price * count;
}

function placeOf(key: RateKey, region: string, spot: boolean): string {
  return `${key}|${region}|${spot ? 'spot' : 'on-demand'}`;
}
