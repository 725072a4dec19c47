import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { skuReader } from '../../../../../src/providers/gcp/catalogue/sku.ts';
import { page, prices, sku, traps } from './sku-page.ts';

const read = skuReader();

describe('lines of the Cloud Billing catalog', () => {
  test.each(prices.map((line) => [String(line['description']), line] as const))('%s is understood', (_, line) => {
    expect(read(line)).not.toBeNull();
  });

  test.each(traps.map((line) => [String(line['description']), line] as const))('%s is another product', (_, line) => {
    expect(read(line)).toBeNull();
  });

  test('on demand and Spot are told apart by their words', () => {
    expect(read(sku('Nvidia L4 GPU running in Americas', 0.56))).toEqual({ key: 'gpu Nvidia L4 GPU', spot: false, regions: ['us-central1'], usd: 0.56 });
    expect(read(sku('Nvidia L4 GPU attached to Spot Preemptible VMs running in Americas', 0.3))).toMatchObject({ key: 'gpu Nvidia L4 GPU', spot: true });
    expect(read(sku('Spot Preemptible G2 Instance Core running in Iowa', 0.01))).toMatchObject({ key: 'core G2', spot: true });
    expect(read(sku('Spot Preemptible A4 Nvidia B200 (1 gpu slice) running in Iowa', 4, { usageType: 'OnDemand' }))).toMatchObject({ spot: true });
    expect(read(sku('Nvidia L4 GPU running in Americas', 0.3, { usageType: 'Preemptible' }))).toBeNull();
  });

  test('the last tier that is not free counts; free alone is no price', () => {
    const address = (tiers: [string, number][]) => read(sku('External IP Charge on a Standard VM', 0, { regions: ['global'], tiers }));
    expect(
      address([
        ['0', 0],
        ['0', 4_000_000],
        ['0', 5_000_000],
      ])?.usd,
    ).toBe(0.005);
    expect(
      address([
        ['0', 5_000_000],
        ['0', 0],
      ])?.usd,
    ).toBe(0.005);
    expect(address([['0', 0]])).toBeNull();
    expect(address([])).toBeNull();
  });

  test('the last price in force counts', () => {
    const line = sku('Nvidia L4 GPU running in Americas', 0.5);
    const older = (sku('x', 0.7)['pricingInfo'] as unknown[])[0];
    expect(read({ ...line, pricingInfo: [older, ...(line['pricingInfo'] as unknown[])] })?.usd).toBe(0.5);
  });

  test('property: units and nanos are one amount', () => {
    fc.assert(
      fc.property(fc.nat(5000), fc.nat(999_999_999), (units, nanos) => {
        fc.pre(units + nanos > 0);
        const rate = read(sku('Nvidia L4 GPU running in Americas', 0, { tiers: [[String(units), nanos]] }));
        expect(rate?.usd).toBeCloseTo(units + nanos / 1e9, 9);
      }),
    );
  });

  test('property: a description with anything more in it is another product', () => {
    const names = prices.map((line) => String(line['description'])).filter((name) => !name.startsWith('Spot'));
    const words = fc.constantFrom('DWS', 'Flex Start', 'Calendar Mode', 'Commitment v1:', 'Reserved', 'Sole Tenancy', 'Custom', 'Plus 1 Year', 'A');
    fc.assert(
      fc.property(fc.constantFrom(...names), words, fc.boolean(), (name, word, before) => {
        // Behind a place nothing but a place's own words can stand; 'A' could be one of those.
        fc.pre(before || word !== 'A');
        expect(read(sku(before ? `${word} ${name}` : `${name} ${word}`, 1))).toBeNull();
      }),
    );
  });

  test('property: whatever the JSON, it is read without an error', () => {
    const known = fc.record({
      description: fc.constantFrom(...page.map((line) => String(line['description']))),
      category: fc.anything(),
      serviceRegions: fc.anything(),
      pricingInfo: fc.oneof(fc.anything(), fc.array(fc.record({ pricingExpression: fc.record({ usageUnit: fc.constant('h'), tieredRates: fc.anything() }) }))),
    });
    fc.assert(
      fc.property(fc.oneof(fc.anything(), known), (line) => {
        const rate = read(line);
        if (rate !== null) expect(rate.usd).toBeGreaterThan(0);
      }),
    );
  });
});
