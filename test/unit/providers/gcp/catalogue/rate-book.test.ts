import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type GceMachine, machineTypeFacts } from '../../../../../src/providers/gcp/catalogue/machine-type.ts';
import { layered, wholePrice } from '../../../../../src/providers/gcp/catalogue/price-book.ts';
import { rateBook, rateTable } from '../../../../../src/providers/gcp/catalogue/rate-book.ts';
import { skuReader } from '../../../../../src/providers/gcp/catalogue/sku.ts';
import { page, sku } from './sku-page.ts';

const asOf = Date.UTC(2026, 8, 20);
const bookOf = (skus: readonly unknown[]) => {
  const read = skuReader();
  return rateBook(rateTable(skus.map(read).filter((rate) => rate !== null)), asOf);
};
const machine = (type: string, gpu?: { name: string; count: number }): GceMachine => machineTypeFacts(type, gpu ?? null)!;
const book = bookOf(page);

describe('the price of a machine from its parts', () => {
  test('vCPUs, memory and GPUs', () => {
    expect(book.machine(machine('g2-standard-4'), 'us-central1', false)).toEqual({
      perHour: expect.closeTo(4 * 0.024988 + 16 * 0.002927 + 0.56004, 9),
      asOf,
      source: 'Cloud Billing catalog',
    });
    expect(book.machine(machine('g2-standard-24'), 'us-central1', true)?.perHour).toBeCloseTo(24 * 0.01405 + 96 * 0.001645 + 2 * 0.31482, 9);
    expect(book.machine(machine('n1-standard-4', { name: 'T4', count: 1 }), 'us-central1', false)?.perHour).toBeCloseTo(0.54, 5);
    expect(book.machine(machine('n1-standard-4'), 'us-central1', false)?.perHour).toBeCloseTo(0.19, 5);
  });

  test('the local SSD that comes with the type is in it', () => {
    const h100 = book.machine(machine('a3-highgpu-8g'), 'us-central1', false)?.perHour;
    expect(h100).toBeCloseTo(208 * 0.02928 + 1872 * 0.00255 + 8 * 9.796550569 + (6000 * 0.08) / 730, 6);
  });

  test('an A4 is sold by the slice, which holds the vCPUs', () => {
    expect(book.machine(machine('a4-highgpu-8g'), 'us-central1', true)?.perHour).toBeCloseTo(8 * 4.5 + (12_000 * 0.043) / 730, 6);
  });

  test('one part without a price: the whole has none', () => {
    expect(book.machine(machine('n1-standard-8', { name: 'V100', count: 1 }), 'us-central1', false)).toBeNull();
    expect(book.machine(machine('n1-standard-4', { name: 'T4', count: 1 }), 'us-central1', true)).toBeNull();
    expect(book.machine(machine('g2-standard-4'), 'europe-west4', false)).toBeNull();
    expect(bookOf(page.filter((line) => !String(line['description']).startsWith('SSD'))).machine(machine('a3-highgpu-8g'), 'us-central1', false)).toBeNull();
  });

  test('an on-demand price at or below Spot is not believed, and another list is asked', () => {
    const wrong = page.map((line) => (line['description'] === 'Nvidia H100 80GB GPU running in Americas' ? sku(String(line['description']), 5.6) : line));
    const bad = bookOf(wrong);
    expect(bad.machine(machine('a3-highgpu-8g'), 'us-central1', false)).toBeNull();
    expect(bad.machine(machine('a3-highgpu-8g'), 'us-central1', true)).not.toBeNull();
    const price = layered([bad, book]).machine(machine('a3-highgpu-8g'), 'us-central1', false);
    expect(price).toEqual(book.machine(machine('a3-highgpu-8g'), 'us-central1', false));
  });

  test('of two prices of one thing the higher counts', () => {
    const twice = bookOf([...page, sku('Nvidia L4 GPU running in Iowa', 0.4), sku('Nvidia L4 GPU running in Iowa', 0.7)]);
    const more = twice.machine(machine('g2-standard-4'), 'us-central1', false)!.perHour - book.machine(machine('g2-standard-4'), 'us-central1', false)!.perHour;
    expect(more).toBeCloseTo(0.7 - 0.56004, 9);
  });

  test('an A3 Mega takes the prices of its own line where there are any', () => {
    const mega = [...page, sku('Nvidia H100 80GB Plus GPU running in Americas', 10.344), sku('A3Plus Instance Core running in Americas', 0.03)];
    expect(bookOf(mega).machine(machine('a3-megagpu-8g'), 'us-central1', false)?.perHour).toBeCloseTo(
      208 * 0.03 + 1872 * 0.00255 + 8 * 10.344 + (6000 * 0.08) / 730,
      6,
    );
  });

  test('disk and address are added for as long as the machine runs', () => {
    const g2 = machine('g2-standard-4');
    const bare = book.machine(g2, 'us-central1', false)!.perHour;
    const place = { region: 'us-central1', diskGb: 730, publicIp: true };
    expect(wholePrice(book, g2, { ...place, spot: false })?.perHour).toBeCloseTo(bare + 0.1 + 0.005, 9);
    expect(wholePrice(book, g2, { ...place, spot: false, publicIp: false })?.perHour).toBeCloseTo(bare + 0.1, 9);
    const spot = book.machine(g2, 'us-central1', true)!.perHour;
    expect(wholePrice(book, g2, { ...place, spot: true })?.perHour).toBeCloseTo(spot + 0.1 + 0.0025, 9);
    expect(book.disk('hyperdisk-balanced', 'us-central1')).toBe(0.08);
  });

  test('property: the price grows with every part of it', () => {
    const amount = fc.integer({ min: 1, max: 5_000_000 }).map((micros) => micros / 1e6);
    fc.assert(
      fc.property(amount, amount, amount, fc.constantFrom('g2-standard-4', 'g2-standard-32', 'g2-standard-96'), (core, ram, gpu, type) => {
        const priced = bookOf([
          sku('G2 Instance Core running in Americas', core),
          sku('G2 Instance Ram running in Americas', ram),
          sku('Nvidia L4 GPU running in Americas', gpu),
        ]);
        const { vcpus, memoryGib, gpu: has } = machine(type);
        expect(priced.machine(machine(type), 'us-central1', false)?.perHour).toBeCloseTo(core * vcpus + ram * memoryGib + gpu * has!.count, 5);
      }),
    );
  });
});
