/** A page of Cloud Billing's catalog in the API's own form, written by hand, with what lies in wait there. */

interface SkuParts {
  readonly usageType?: string;
  readonly regions?: readonly string[];
  readonly unit?: string;
  readonly currency?: string;
  /** The tiers' prices, each as units and nanos. */
  readonly tiers?: readonly (readonly [string, number])[];
}

/** `usd`: of the only tier. */
export function sku(description: string, usd: number, parts: SkuParts = {}): Record<string, unknown> {
  const { usageType = /spot preemptible/i.test(description) ? 'Preemptible' : 'OnDemand', regions = ['us-central1'], currency = 'USD' } = parts;
  const unit = parts.unit ?? (/Ram /.test(description) ? 'GiBy.h' : /PD |Hyperdisk|Storage/.test(description) ? 'GiBy.mo' : 'h');
  const whole = Math.floor(usd);
  const tiers = parts.tiers ?? [[String(whole), Math.round((usd - whole) * 1e9)] as const];
  return {
    name: `services/6F81-5844-456A/skus/${description.length}-${whole}`,
    description,
    category: { serviceDisplayName: 'Compute Engine', resourceFamily: 'Compute', resourceGroup: 'GPU', usageType },
    serviceRegions: regions,
    pricingInfo: [
      {
        effectiveTime: '2026-09-20T07:00:00Z',
        pricingExpression: {
          usageUnit: unit,
          tieredRates: tiers.map(([units, nanos], index) => ({ startUsageAmount: index * 10, unitPrice: { currencyCode: currency, units, nanos } })),
        },
      },
    ],
    serviceProviderName: 'Google',
  };
}

/** Each is another product than the one that its words resemble. */
export const traps: readonly Record<string, unknown>[] = [
  sku('Nvidia H100 80GB GPU DWS Defined Duration running in Americas', 4.2),
  sku('DWS Defined Duration A3 Instance Core running in Americas', 0.01),
  sku('Nvidia H100 80GB GPU running in Americas DWS Flex Start', 4.2),
  sku('Nvidia H100 80GB GPU running in Americas Calendar Mode', 5.1),
  sku('Nvidia L4 GPU running in Americas for 1 Year', 0.3),
  sku('Commitment v1: Nvidia L4 GPU running in Americas for 1 Year', 0.35, { usageType: 'Commit1Yr' }),
  sku('Commitment v1: G2 Instance Core in Americas', 0.01, { usageType: 'Commit3Yr' }),
  sku('Nvidia L4 GPU running in Americas', 0.1, { usageType: 'Commit1Yr' }),
  sku('Reserved Nvidia L4 GPU in Americas', 0.2),
  sku('N1 Predefined Instance Core Sole Tenancy running in Americas', 0.02),
  sku('Sole Tenancy Instance Core running in Americas', 0.01),
  sku('Nvidia Tesla T4 GPU attached to Sole Tenancy VMs running in Americas', 0.01),
  sku('N2 Custom Instance Core running in Americas', 0.02),
  sku('Spot Preemptible N2 Custom Instance Core running in Americas', 0.001),
  sku('E2 Instance Core Upgrade Premium running in Americas', 0.3),
  sku('Regional Balanced PD Capacity in Americas', 0.2),
  sku('Nvidia L4 GPU running in Americas', 99, { currency: 'EUR' }),
  sku('G2 Instance Core running in Americas', 99, { unit: 'mo' }),
  sku('nvidia l4 gpu running in americas', 98),
];

/** us-central1 on 2026-07-30. */
export const prices: readonly Record<string, unknown>[] = [
  sku('G2 Instance Core running in Americas', 0.024988),
  sku('G2 Instance Ram running in Americas', 0.002927),
  sku('Nvidia L4 GPU running in Americas', 0.56004),
  sku('Spot Preemptible G2 Instance Core running in Americas', 0.01405),
  sku('Spot Preemptible G2 Instance Ram running in Americas', 0.001645),
  sku('Nvidia L4 GPU attached to Spot Preemptible VMs running in Americas', 0.31482),
  sku('N1 Predefined Instance Core running in Americas', 0.031611),
  sku('N1 Predefined Instance Ram running in Americas', 0.004237),
  sku('Nvidia Tesla T4 GPU running in Americas', 0.35),
  sku('A3 Instance Core running in Americas', 0.02928),
  sku('A3 Instance Ram running in Americas', 0.00255),
  sku('Nvidia H100 80GB GPU running in Americas', 9.796550569),
  sku('Spot Preemptible A3 Instance Core running in Americas', 0.0168),
  sku('Spot Preemptible A3 Instance Ram running in Americas', 0.00146),
  sku('Nvidia H100 80GB GPU attached to Spot Preemptible VMs running in Americas', 5.6),
  sku('A4 Nvidia B200 (1 gpu slice) running in Americas', 16.11),
  // Filed under OnDemand by Google; its words decide.
  sku('Spot Preemptible A4 Nvidia B200 (1 gpu slice) running in Americas', 4.5, { usageType: 'OnDemand' }),
  sku('SSD backed Local Storage', 0.08),
  sku('SSD backed Local Storage attached to Spot Preemptible VMs', 0.043),
  sku('Balanced PD Capacity', 0.1),
  sku('Hyperdisk Balanced Capacity in Iowa', 0.08),
  sku('External IP Charge on a Standard VM', 0, {
    regions: ['global'],
    tiers: [
      ['0', 0],
      ['0', 5_000_000],
    ],
  }),
  sku('External IP Charge on a Spot Preemptible VM', 0.0025, { regions: ['global'] }),
];

export const page = [...traps.slice(0, 9), ...prices, ...traps.slice(9)];
