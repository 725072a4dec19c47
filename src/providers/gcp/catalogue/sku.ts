/**
 * What a line of the Cloud Billing catalog is a price of. The description is the only key, so it is matched whole: a line that only
 * resembles one (queued and calendar starts, commitments, reservations, sole tenancy, custom shapes) is another product at another price.
 */

/** What is sold by the hour, or by GiB and hour, or by GiB and month. */
export type RateKey = string;

/** One price: what, how sold, where. */
export interface Rate {
  readonly key: RateKey;
  readonly spot: boolean;
  /** `global` for what costs the same everywhere. */
  readonly regions: readonly string[];
  /** USD per unit of the key. */
  readonly usd: number;
}

/** `core` USD per vCPU and hour, `ram` per GiB and hour, by the name of the product line; `gpu` per GPU and hour, by its name there. */
export const rateKeys = {
  core: (line: string): RateKey => `core ${line}`,
  ram: (line: string): RateKey => `ram ${line}`,
  gpu: (name: string): RateKey => `gpu ${name}`,
  /** Per GiB and month. */
  localSsd: 'local-ssd',
  balancedDisk: 'pd-balanced',
  hyperdisk: 'hyperdisk-balanced',
  /** Per hour. */
  address: 'address',
} as const;

/** Of vCPUs and memory; `N1 Predefined Instance Core running in Americas`. */
const lines = ['N1 Predefined', 'E2', 'N2', 'C3', 'G2', 'G4', 'A2', 'A3', 'A3Plus', 'A3Ultra'] as const;
/** Of GPUs. A4's slice holds the vCPUs and the memory as well. */
const gpus = [
  'Nvidia Tesla T4 GPU',
  'Nvidia Tesla P4 GPU',
  'Nvidia Tesla V100 GPU',
  'Nvidia Tesla P100 GPU',
  'Nvidia L4 GPU',
  'RTX 6000 96GB',
  'Nvidia Tesla A100 GPU',
  'Nvidia Tesla A100 80GB GPU',
  'Nvidia H100 80GB GPU',
  'Nvidia H100 80GB Mega GPU',
  'Nvidia H100 80GB Plus GPU',
  'H200 141GB GPU',
  'Nvidia H200 141GB GPU',
  'A4 Nvidia B200 (1 gpu slice)',
] as const;

interface Product {
  readonly key: RateKey;
  readonly spot: boolean;
  readonly unit: string;
}

const spotWords = 'Spot Preemptible ';
const spotEnd = ' attached to Spot Preemptible VMs';
/** In the name of a place there is none of these. */
const otherProduct = /dws|flex|calendar|commit|reserv|sole|tenan|custom|upgrade|premium|year|preempt|\bfor\b|\d/i;

/** Product names without their places. Made anew at each call: a catalog is read once. */
function products(): ReadonlyMap<string, Product> {
  const found = new Map<string, Product>();
  const add = (name: string, key: RateKey, unit: string) => {
    found.set(name, { key, spot: false, unit });
    found.set(spotWords + name, { key, spot: true, unit });
    found.set(name + spotEnd, { key, spot: true, unit });
  };
  for (const line of lines) {
    add(`${line} Instance Core`, rateKeys.core(line), 'h');
    add(`${line} Instance Ram`, rateKeys.ram(line), 'GiBy.h');
  }
  for (const name of gpus) add(name, rateKeys.gpu(name), 'h');
  add('SSD backed Local Storage', rateKeys.localSsd, 'GiBy.mo');
  found.set('Balanced PD Capacity', { key: rateKeys.balancedDisk, spot: false, unit: 'GiBy.mo' });
  found.set('Hyperdisk Balanced Capacity', { key: rateKeys.hyperdisk, spot: false, unit: 'GiBy.mo' });
  found.set('External IP Charge on a Standard VM', { key: rateKeys.address, spot: false, unit: 'h' });
  found.set('External IP Charge on a Spot Preemptible VM', { key: rateKeys.address, spot: true, unit: 'h' });
  return found;
}

/** Reads SKUs in the API's form, whatever it may be: what is not understood is left out. */
export function skuReader(): (sku: unknown) => Rate | null {
  const known = products();
  return (sku) => {
    const { description, category, serviceRegions, pricingInfo } = record(sku);
    if (typeof description !== 'string') return null;
    const product = known.get(withoutPlace(description));
    if (product === undefined || !soldAs(record(category)['usageType'], product.spot)) return null;
    const usd = hourOrMonthPrice(pricingInfo, product.unit);
    const regions = list(serviceRegions).filter((region): region is string => typeof region === 'string' && /^[a-z0-9-]{1,40}$/.test(region));
    return usd === null || regions.length === 0 ? null : { key: product.key, spot: product.spot, regions, usd };
  };
}

/** `X running in Iowa` and `X in Iowa` are both X; X alone stays. Empty: not a place. */
function withoutPlace(description: string): string {
  const [, name, place] = /^(.*?)(?: running)? in (.+)$/.exec(description) ?? [];
  if (name === undefined || place === undefined) return description;
  return otherProduct.test(place) ? '' : name;
}

/** Some Spot SKUs are filed under OnDemand: their description decides. Nothing else is ever taken for on-demand. */
function soldAs(usageType: unknown, spot: boolean): boolean {
  return usageType === 'OnDemand' || (spot && usageType === 'Preemptible');
}

/** USD, of the last tier that isn't free; the last entry is the one in force. null: not what was expected. */
function hourOrMonthPrice(pricingInfo: unknown, unit: string): number | null {
  const { pricingExpression } = record(list(pricingInfo).at(-1));
  const { usageUnit, tieredRates } = record(pricingExpression);
  if (usageUnit !== unit) return null;
  const prices = list(tieredRates).map((tier) => moneyOf(record(tier)['unitPrice']));
  if (prices.includes(null)) return null;
  return prices.findLast((price) => price !== null && price > 0) ?? null;
}

/** `units` is a 64-bit number as text, `nanos` a number; either may be left out. */
function moneyOf(value: unknown): number | null {
  const { currencyCode, units = '0', nanos = 0 } = record(value);
  const whole = typeof units === 'string' || typeof units === 'number' ? Number(units) : Number.NaN;
  if (currencyCode !== 'USD' || typeof nanos !== 'number' || !Number.isFinite(whole + nanos) || whole < 0 || nanos < 0) return null;
  return whole + nanos / 1e9;
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
