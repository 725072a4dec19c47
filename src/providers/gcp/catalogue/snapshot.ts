/** The price list that ships: dated, by region, made by `scripts/write-gcp-prices.ts`. Used without credentials, and when live prices can't be had. */
import type { GceMachine } from './machine-type.ts';
import type { MachinePrice, PriceBook } from './price-book.ts';

interface Prices {
  readonly onDemand: number | null;
  readonly spot: number | null;
}

interface PriceLine {
  /** `2026-07-30` */
  readonly date: string;
  readonly regions: ReadonlyMap<string, Prices>;
}

export interface Snapshot {
  readonly machines: Readonly<Record<string, string>>;
  /** Series that are sold by the part, USD per hour: `core` a vCPU, `ram` a GiB, the others a GPU. */
  readonly parts: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly diskGbMonth: Readonly<Record<string, number>> & { readonly elsewhere: number };
  readonly addressHour: number;
}

/** Loads the list at its first use: most commands never ask. */
export async function loadSnapshot(): Promise<PriceBook> {
  const { default: snapshot } = await import('./price-snapshot.json', { with: { type: 'json' } });
  return snapshotBook(snapshot);
}

export function snapshotBook(snapshot: Snapshot): PriceBook {
  const machines = new Map(Object.entries(snapshot.machines).map(([type, text]) => [type, parseLine(text)]));
  const parts = new Map(
    Object.entries(snapshot.parts).map(([series, rates]) => [series, new Map(Object.entries(rates).map(([part, text]) => [part, parseLine(text)]))]),
  );
  const { diskGbMonth, addressHour } = snapshot;

  const whole = (machine: GceMachine, region: string, spot: boolean): MachinePrice | null => {
    const line = machines.get(machine.type);
    return line === undefined ? null : priced(priceIn(line, region, spot), line.date);
  };
  const inParts = ({ series, vcpus, memoryGib, gpu }: GceMachine, region: string, spot: boolean): MachinePrice | null => {
    const rates = parts.get(series);
    const [core, ram, card] = [rates?.get('core'), rates?.get('ram'), gpu === null ? null : rates?.get(gpu.name)];
    if (core === undefined || ram === undefined || card === undefined) return null;
    const [perCore, perGib] = [priceIn(core, region, spot), priceIn(ram, region, spot)];
    const perGpu = card === null ? 0 : priceIn(card, region, spot);
    if (perCore === null || perGib === null || perGpu === null) return null;
    return priced(perCore * vcpus + perGib * memoryGib + perGpu * (gpu?.count ?? 0), core.date);
  };

  return {
    machine: (machine, region, spot) => (parts.has(machine.series) ? inParts(machine, region, spot) : whole(machine, region, spot)),
    disk: (_disk, region) => (Object.hasOwn(diskGbMonth, region) ? diskGbMonth[region] : undefined) ?? diskGbMonth.elsewhere,
    address: () => addressHour,
    regions: [
      ...new Set([...machines.values(), ...[...parts.values()].flatMap((rates) => [...rates.values()])].flatMap(({ regions }) => [...regions.keys()])),
    ].sort(),
  };
}

function priced(perHour: number | null, date: string): MachinePrice | null {
  if (perHour === null) return null;
  return { perHour, asOf: Date.parse(date), source: `Google's price list of ${date}, snapshot` };
}

function priceIn({ regions }: PriceLine, region: string, spot: boolean): number | null {
  const prices = regions.get(region);
  return (spot ? prices?.spot : prices?.onDemand) ?? null;
}

/** `2026-07-30 us-central1=0.70683/0.39734 us-east4=-/0.31`: date, then on-demand and Spot of each region. */
function parseLine(text: string): PriceLine {
  const [date = '', ...places] = text.split(' ');
  const number = (word: string | undefined) => (word === undefined || word === '-' ? null : Number(word));
  const regions = places.map((place): readonly [string, Prices] => {
    const [region = '', onDemand, spot] = place.split(/[=/]/);
    return [region, { onDemand: number(onDemand), spot: number(spot) }];
  });
  return { date, regions: new Map(regions) };
}
