/**
 * Makes the price list of Compute Engine that ships, for use without credentials, from a table of machine prices:
 * `node scripts/write-gcp-prices.ts PRICES.csv`. Columns: instance_type, accelerator_name, accelerator_count, vcpus, memory_gib,
 * price_usd_h, spot_price_usd_h, region, source, as_of; an empty price is not known. `docs/providers/gcp-prices.md` says more.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const snapshotFile = join(import.meta.dirname, '..', 'src', 'providers', 'gcp', 'catalogue', 'price-snapshot.json');

/** Google's list, 2026-07-30: USD per GiB and month, on demand and Spot. Elsewhere: the dearer. */
const localSsd: Readonly<Record<string, readonly [number, number]>> = {
  'us-central1': [0.08, 0.043],
  'us-east4': [0.088, 0.053],
  'europe-west4': [0.088, 0.049],
  'asia-southeast1': [0.088, 0.041],
};
const localSsdElsewhere = [0.088, 0.053] as const;
/** Bundled local SSD in GiB, where the table's price leaves it out. */
const bundledSsd: Readonly<Record<string, number>> = { 'a3-ultragpu-8g': 12_000, 'a4-highgpu-8g': 12_000 };
const hoursAMonth = 730;

/**
 * USD per hour on demand of an e2-highmem-16 (16 vCPUs, 128 GiB), from the Billing catalog of 2025-03-06; on-demand prices hardly move.
 * Everywhere a vCPU costs as much as 7.46 GiB. Spot prices of that age say nothing.
 */
const e2Highmem16: Readonly<Record<string, number>> = {
  'asia-east1': 0.837384,
  'asia-northeast1': 0.9270288,
  'asia-northeast3': 0.9270288,
  'asia-south1': 0.86856096,
  'asia-southeast1': 0.89210928,
  'australia-southeast1': 1.02610176,
  'europe-north1': 0.79618272,
  'europe-west1': 0.79555344,
  'europe-west2': 0.93170976,
  'europe-west3': 0.93170976,
  'europe-west4': 0.79613856,
  'europe-west6': 1.0118712,
  'northamerica-northeast1': 0.79613856,
  'southamerica-east1': 1.1479392,
  'us-central1': 0.72319728,
  'us-east1': 0.72319728,
  'us-east4': 0.81445392,
  'us-east5': 0.72319728,
  'us-south1': 0.8533728,
  'us-west1': 0.72319728,
  'us-west2': 0.86864928,
  'us-west4': 0.81445392,
};
const gibPerCore = 7.4607;

interface Row {
  readonly type: string;
  readonly accelerator: string;
  readonly count: number;
  readonly region: string;
  readonly asOf: string;
  /** On demand and Spot; null: not known. */
  readonly prices: readonly [number | null, number | null];
}

type Prices = readonly [number | null, number | null];

function readRows(file: string): readonly Row[] {
  const [head = '', ...lines] = readFileSync(file, 'utf8').trim().split(/\r?\n/);
  const columns = head.split(',');
  return lines.map((line) => {
    const cells = line.split(',');
    const cell = (name: string) => cells[columns.indexOf(name)] ?? '';
    const [type, region] = [cell('instance_type'), cell('region')];
    const missing = cell('source').includes('excludes local SSD') ? (bundledSsd[type] ?? 0) : 0;
    const ssd = localSsd[region] ?? localSsdElsewhere;
    const price = (name: string, which: 0 | 1) => (cell(name) === '' ? null : Number(cell(name)) + (missing * ssd[which]) / hoursAMonth);
    return {
      type,
      region,
      accelerator: cell('accelerator_name'),
      count: Number(cell('accelerator_count')),
      asOf: cell('as_of'),
      prices: [price('price_usd_h', 0), price('spot_price_usd_h', 1)],
    };
  });
}

/** `us-central1=0.70683/0.39734`, `-` for what is not known; in front the date. */
function line(asOf: string, prices: ReadonlyMap<string, Prices>): string {
  const text = (price: number | null) => (price === null ? '-' : String(Number(price.toPrecision(6))));
  const regions = [...prices].sort(([a], [b]) => (a < b ? -1 : 1)).map(([region, [onDemand, spot]]) => `${region}=${text(onDemand)}/${text(spot)}`);
  return [asOf, ...regions].join(' ');
}

function byRegion(rows: readonly Row[]): ReadonlyMap<string, Prices> {
  const found = new Map<string, Prices>();
  for (const { region, prices, type } of rows) {
    const before = found.get(region);
    if (before !== undefined && JSON.stringify(before) !== JSON.stringify(prices)) throw new Error(`${type}: the zones of ${region} differ`);
    found.set(region, prices);
  }
  return found;
}

/** N1 is sold by the part: what one vCPU, one GiB and one GPU cost follows from machines that differ in one of them. */
function n1Rates(rows: readonly Row[]): Readonly<Record<string, string>> {
  const of = (type: string, gpu: string, count = 1) =>
    byRegion(rows.filter((row) => row.type === type && row.accelerator === `nvidia-tesla-${gpu}` && row.count === count));
  const [small, middle, highmem] = [of('n1-standard-4', 't4'), of('n1-standard-8', 't4'), of('n1-highmem-8', 't4')];
  const asOf = rows.find((row) => row.accelerator === 'nvidia-tesla-t4')?.asOf ?? '';
  const rate = (regions: Iterable<string>, derive: (region: string, which: 0 | 1) => number): ReadonlyMap<string, Prices> =>
    new Map([...regions].map((region) => [region, [derive(region, 0), derive(region, 1)]] as const));
  const at = (prices: ReadonlyMap<string, Prices>, region: string, which: 0 | 1): number => {
    const price = prices.get(region)?.[which];
    if (price === undefined || price === null) throw new Error(`no price of N1 in ${region}`);
    return price;
  };
  const ram = rate(small.keys(), (region, which) => (at(highmem, region, which) - at(middle, region, which)) / (52 - 30));
  const core = rate(small.keys(), (region, which) => (at(middle, region, which) - at(small, region, which) - 15 * at(ram, region, which)) / 4);
  const gpu = (prices: ReadonlyMap<string, Prices>, vcpus: number, gib: number) =>
    rate(prices.keys(), (region, which) => at(prices, region, which) - vcpus * at(core, region, which) - gib * at(ram, region, which));
  return {
    core: line(asOf, core),
    ram: line(asOf, ram),
    T4: line(asOf, gpu(small, 4, 15)),
    P4: line(asOf, gpu(of('n1-standard-4', 'p4'), 4, 15)),
    V100: line(asOf, gpu(of('n1-standard-8', 'v100'), 8, 30)),
  };
}

function e2Rates(): Readonly<Record<string, string>> {
  const ram = (price: number) => price / (16 * gibPerCore + 128);
  const each = (part: (price: number) => number) =>
    line('2025-03-06', new Map(Object.entries(e2Highmem16).map(([region, price]) => [region, [part(price), null]] as const)));
  return { core: each((price) => ram(price) * gibPerCore), ram: each(ram) };
}

const [, , table] = process.argv;
if (table === undefined) throw new Error('say which table: node scripts/write-gcp-prices.ts PRICES.csv');
const rows = readRows(table);
const types = [...new Set(rows.filter(({ type, count }) => !type.startsWith('n1-') && Number.isInteger(count)).map(({ type }) => type))].sort();
const machines = types.map((type) => {
  const own = rows.filter((row) => row.type === type);
  return [type, line(own.map(({ asOf }) => asOf).sort()[0] ?? '', byRegion(own))] as const;
});
const snapshot = {
  machines: Object.fromEntries(machines),
  parts: { n1: n1Rates(rows), e2: e2Rates() },
  diskGbMonth: { 'us-central1': 0.1, elsewhere: 0.11 },
  addressHour: 0.005,
};
writeFileSync(snapshotFile, `${JSON.stringify(snapshot, null, 2)}\n`);
