/** Cloud Billing's catalog of Compute Engine's SKUs: descriptions, regions and prices of the emulated machines, with the neighbours that are mistaken for them. */
import { createHash } from 'node:crypto';
import { ApiError } from './api-error.ts';
import { regionZones } from './catalogue-data.ts';

export const computeService = '6F81-5844-456A';

type Usage = 'OnDemand' | 'Preemptible' | 'Commit1Yr';

interface PriceRow {
  /** `G2 Instance Core`; the region's name is added. */
  readonly what: string;
  readonly group: string;
  /** USD an hour: on demand, spot. */
  readonly usd: readonly [number, number];
  readonly unit: 'h' | 'GiBy.h' | 'GiBy.mo';
}

const rows: readonly PriceRow[] = [
  ...machine('N1 Predefined', 'N1Standard', [0.031611, 0.00668], [0.004237, 0.000895]),
  ...machine('N2', 'CPU', [0.031611, 0.00765], [0.004237, 0.00102]),
  ...machine('E2', 'CPU', [0.02181159, 0.00654543], [0.00292353, 0.00087731]),
  ...machine('G2', 'CPU', [0.024988, 0.00999], [0.002927, 0.00117]),
  ...machine('G4', 'CPU', [0.0255, 0.0102], [0.0036, 0.00144]),
  ...machine('A2', 'CPU', [0.031611, 0.01264], [0.004237, 0.00169]),
  ...machine('A3', 'CPU', [0.02934, 0.01474], [0.00255, 0.00128]),
  ...machine('A3Plus', 'CPU', [0.02934, 0.01474], [0.00255, 0.00128]),
  ...machine('A3Ultra', 'CPU', [0.02934, 0.01474], [0.00255, 0.00128]),
  gpu('Nvidia L4 GPU', 0.56, 0.3219),
  gpu('Nvidia Tesla T4 GPU', 0.35, 0.2),
  gpu('Nvidia Tesla V100 GPU', 2.48, 1.3),
  gpu('Nvidia Tesla P100 GPU', 1.46, 0.43),
  gpu('Nvidia Tesla P4 GPU', 0.6, 0.216),
  gpu('Nvidia Tesla A100 GPU', 2.9339, 1.57),
  gpu('Nvidia Tesla A100 80GB GPU', 3.92808, 2.3),
  gpu('Nvidia H100 80GB GPU', 9.7968, 5.6),
  gpu('Nvidia H100 80GB Mega GPU', 9.7968, 5.6),
  gpu('H200 141GB GPU', 9.6, 5.3),
  gpu('RTX 6000 96GB', 2.6, 1.04),
  gpu('A4 Nvidia B200 (1 gpu slice)', 16.1, 4.7),
  { what: 'SSD backed Local Storage', group: 'LocalSSD', usd: [0.08, 0.043], unit: 'GiBy.mo' },
  { what: 'Balanced PD Capacity', group: 'SSD', usd: [0.1, 0.1], unit: 'GiBy.mo' },
  { what: 'SSD backed PD Capacity', group: 'SSD', usd: [0.17, 0.17], unit: 'GiBy.mo' },
  { what: 'Hyperdisk Balanced Capacity', group: 'SSD', usd: [0.08, 0.08], unit: 'GiBy.mo' },
];

type Usd = readonly [onDemand: number, spot: number];

function machine(series: string, group: string, core: Usd, ram: Usd): readonly PriceRow[] {
  return [
    { what: `${series} Instance Core`, group, usd: core, unit: 'h' },
    { what: `${series} Instance Ram`, group: group === 'CPU' ? 'RAM' : group, usd: ram, unit: 'GiBy.h' },
  ];
}

function gpu(what: string, onDemand: number, spot: number): PriceRow {
  return { what, group: 'GPU', usd: [onDemand, spot], unit: 'h' };
}

const regionNames: Readonly<Record<string, string>> = {
  'us-central1': 'Iowa',
  'us-east1': 'South Carolina',
  'us-east4': 'Northern Virginia',
  'us-east5': 'Columbus',
  'us-west1': 'Oregon',
  'us-west2': 'Los Angeles',
  'us-west4': 'Las Vegas',
  'europe-west1': 'Belgium',
  'europe-west2': 'London',
  'europe-west3': 'Frankfurt',
  'europe-west4': 'Netherlands',
  'asia-east1': 'Taiwan',
  'asia-northeast1': 'Tokyo',
  'asia-south1': 'Mumbai',
  'asia-southeast1': 'Singapore',
};

type Sku = Readonly<Record<string, unknown>>;

/** Every region is some percent dearer than the one before it. */
function allSkus(): readonly Sku[] {
  const regions = Object.keys(regionZones);
  const addresses = [
    sku('External IP Charge on a Standard VM', 'IpAddress', 'OnDemand', ['global'], 0.005, 'h'),
    sku('External IP Charge on a Spot Preemptible VM', 'IpAddress', 'Preemptible', ['global'], 0.0025, 'h'),
  ];
  return [...addresses, ...regions.flatMap((region, index) => rows.flatMap((row) => skusOf(row, region, 1 + index / 100)))];
}

function skusOf({ what, group, usd: [onDemand, spot], unit }: PriceRow, region: string, dearer: number): readonly Sku[] {
  const where = `${unit === 'GiBy.mo' ? 'in' : 'running in'} ${regionNames[region] ?? region}`;
  const standard = sku(`${what} ${where}`, group, 'OnDemand', [region], onDemand * dearer, unit);
  if (group === 'SSD') return [standard];
  const isPart = group === 'GPU' || group === 'LocalSSD';
  const spotName = isPart ? `${what} attached to Spot Preemptible VMs ${where}` : `Spot Preemptible ${what} ${where}`;
  return [
    standard,
    sku(spotName, group, 'Preemptible', [region], spot * dearer, unit),
    sku(`Commitment v1: ${what} in ${regionNames[region] ?? region} for 1 Year`, group, 'Commit1Yr', [region], onDemand * dearer * 0.63, unit),
    // Sold by queue and by calendar: on demand by their usage type, at less than on-demand prices.
    sku(`${what} attached to DWS Defined Duration VMs ${where}`, group, 'OnDemand', [region], onDemand * dearer * 0.47, unit),
  ];
}

function sku(description: string, resourceGroup: string, usageType: Usage, serviceRegions: readonly string[], usd: number, usageUnit: string): Sku {
  const hex = createHash('sha256').update(`${description} ${usageType} ${serviceRegions[0]}`).digest('hex').toUpperCase();
  const skuId = `${hex.slice(0, 4)}-${hex.slice(4, 8)}-${hex.slice(8, 12)}`;
  const nanos = Math.round((usd % 1) * 1e9);
  const unitPrice = { currencyCode: 'USD', units: String(Math.floor(usd)), nanos };
  const pricingExpression = { usageUnit, displayQuantity: 1, baseUnit: 's', tieredRates: [{ startUsageAmount: 0, unitPrice }] };
  const category = { serviceDisplayName: 'Compute Engine', resourceFamily: usageUnit === 'GiBy.mo' ? 'Storage' : 'Compute', resourceGroup, usageType };
  return {
    name: `services/${computeService}/skus/${skuId}`,
    skuId,
    description,
    category,
    serviceRegions,
    pricingInfo: [{ summary: '', effectiveTime: '2026-11-20T00:00:00Z', currencyConversionRate: 1, pricingExpression }],
    serviceProviderName: 'Google',
    geoTaxonomy: { type: serviceRegions[0] === 'global' ? 'GLOBAL' : 'REGIONAL', regions: serviceRegions },
  };
}

const known = new Set(['pageSize', 'pageToken', 'startTime', 'endTime', 'currencyCode', '$alt', 'alt']);

export function skuPage(query: URLSearchParams, extra: readonly Sku[], pageSize: number): unknown {
  for (const name of query.keys()) {
    if (!known.has(name))
      throw new ApiError({ status: 400, reason: null, message: `Invalid JSON payload received. Unknown name "${name}": Cannot bind query parameter.` });
  }
  const size = Math.min(Number(query.get('pageSize') ?? 5000) || 5000, pageSize, 5000);
  const from = Number(query.get('pageToken') ?? 0);
  const all = [...allSkus(), ...extra];
  return { skus: all.slice(from, from + size), nextPageToken: from + size < all.length ? String(from + size) : '' };
}
