import fc from 'fast-check';
import { expect, test } from 'vitest';
import { costCsv, costDocument, csvField, renderCost } from '../../../src/cli/render/cost.ts';
import { createStyle } from '../../../src/cli/render/style.ts';
import type { BookedPrice, CostLine, CostResult } from '../../../src/workflows/report-cost.ts';
import { noon } from './entries.ts';

const view = { style: createStyle(false), now: noon, width: Number.POSITIVE_INFINITY };
const price: BookedPrice = {
  provider: 'gcp',
  type: 'g2-standard-4',
  spot: true,
  price: { perHour: 0.28, currency: 'USD' },
  source: 'price list',
  asOf: noon - 7_200_000,
  ageSeconds: 3_600,
};

function line(key: string, usd: number, seconds: number, more: Partial<CostLine> = {}): CostLine {
  return { key, text: key, usd, egressUsd: null, seconds, live: false, prices: [price], ...more };
}

function result(items: readonly CostLine[], more: Partial<CostResult> = {}): CostResult {
  const total = (of: 'usd' | 'seconds') => items.reduce((sum, item) => sum + item[of], 0);
  const nothing = { omitted: { count: 0, usd: 0, egressUsd: null, seconds: 0 }, failed: { count: 0, usd: 0, attempts: [] } };
  return { totalUsd: total('usd'), totalSeconds: total('seconds'), totalEgressUsd: null, items, ...nothing, ...more };
}

const two = [line('cats (cats-k3v9xq)', 1.2, 3_600), line('dogs (dogs-aaaaaa)', 0.001, 30, { live: true })];

test('a table with a sum; what runs now is marked', () => {
  expect(renderCost(result([]), 'machine', false, view)).toBe('Nothing was spent.');
  expect(renderCost(result(two), 'machine', false, view).split('\n')).toEqual([
    'MACHINE                    TIME     COST',
    'cats (cats-k3v9xq)           1h    $1.20',
    'dogs (dogs-aaaaaa) (now)    30s  $0.0010',
    'Total                     1h 1m    $1.20',
  ]);
});

test('bars: only on a terminal with room for them, none for the sum, and no line wider than the terminal', () => {
  const bars = (width: number) => renderCost(result(two), 'machine', false, { ...view, width });
  expect(bars(Number.POSITIVE_INFINITY)).not.toContain('█');
  expect(bars(60)).not.toContain('█');
  const lines = bars(90).split('\n');
  expect(lines[1]).toMatch(/\$1\.20 {2}█{36}$/);
  expect(lines[3]).toMatch(/\$1\.20$/);
  fc.assert(
    fc.property(fc.integer({ min: 20, max: 200 }), (width) => {
      for (const each of bars(width).split('\n')) expect([...each].length).toBeLessThanOrEqual(width);
    }),
  );
  expect(renderCost(result([line('x', 0, 5)]), 'machine', false, { ...view, width: 100 })).not.toContain('█');
});

test('what a limit left out is one line; machines that never got ready are named; prices with --verbose', () => {
  const attempt = { id: 'cats-1', name: 'cats', provider: 'gcp', zone: 'us-central1-a', type: 'g2', usd: 0.02, seconds: 60, reason: 'no GPU\u001b[2J\nmore' };
  const full = result(two, { omitted: { count: 7, usd: 0.5, egressUsd: null, seconds: 60 }, failed: { count: 1, usd: 0.02, attempts: [attempt] } });
  const short = renderCost(full, 'machine', false, view);
  expect(short).toContain('(7 more)');
  expect(short).toContain('Of it $0.02 for 1 machine that never got ready:\n  cats-1 (gcp us-central1-a, g2, 1m, $0.02)');
  expect(short).not.toContain('no GPU');
  const long = renderCost(full, 'machine', true, view);
  expect(long).toContain('no GPU\\e[2J');
  expect(long).toContain('  gcp g2-standard-4 spot: $0.28 an hour, price list, 1h old then (from 2h ago)');
});

test('what left the provider is a column of its own where any takes money for it', () => {
  const items = [line('cats', 1.2, 3_600, { egressUsd: 0.2 }), line('dogs', 0.1, 30)];
  const lines = renderCost(result(items, { totalEgressUsd: 0.2 }), 'machine', false, view).split('\n');
  expect(lines.slice(0, 4)).toEqual([
    'MACHINE   TIME  EGRESS   COST',
    'cats        1h   $0.20  $1.20',
    'dogs       30s       -  $0.10',
    'Total    1h 1m   $0.20  $1.30',
  ]);
  expect(lines.at(-1)).toContain('an estimate');
  expect(costDocument(result(items, { totalEgressUsd: 0.2 }))).toMatchObject({ total: { egressUsd: 0.2 }, items: [{ egressUsd: 0.2 }, { egressUsd: null }] });
});

test('the document: sums, items with their prices, what was left out, what failed', () => {
  expect(costDocument(result([line('a', 1, 2)]))).toEqual({
    total: { usd: 1, seconds: 2, egressUsd: null },
    items: [
      {
        key: 'a',
        text: 'a',
        usd: 1,
        egressUsd: null,
        seconds: 2,
        live: false,
        prices: [
          {
            provider: 'gcp',
            type: 'g2-standard-4',
            spot: true,
            pricePerHour: 0.28,
            currency: 'USD',
            source: 'price list',
            asOf: '2026-11-21T10:00:00.000Z',
            ageSeconds: 3_600,
          },
        ],
      },
    ],
    omitted: { count: 0, usd: 0, egressUsd: null, seconds: 0 },
    failed: { count: 0, usd: 0, attempts: [] },
  });
});

test('CSV: RFC 4180, the price where there is one, and no formulas', () => {
  const other = { ...price, type: 'a2' };
  const items = [line('=cmd|"/c calc"!A1', 1.5, 60), line('a,b', 0.1234567, 1.50000000004, { live: true, egressUsd: 0.012, prices: [price, other] })];
  expect(costCsv(result(items), 'branch')).toBe(
    [
      'branch,seconds,usd,live,usd_per_hour,price_source,price_as_of,egress_usd\r\n',
      `"'=cmd|""/c calc""!A1",60,1.500000,false,0.28,price list,2026-11-21T10:00:00.000Z,\r\n`,
      '"a,b",1.5,0.123457,true,,,,0.012000\r\n',
    ].join(''),
  );
});

/** As RFC 4180 says it: what a reader gets for one record. */
function readRecord(text: string): string[] {
  const fields: string[] = [];
  let rest = text;
  for (;;) {
    const match = /^(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|$)/.exec(rest);
    if (match === null) throw new Error(`not CSV: ${JSON.stringify(rest)}`);
    fields.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? '');
    if (match[3] === '') return fields;
    rest = rest.slice(match[0].length);
  }
}

test('CSV: any text comes back whole, and never as a formula', () => {
  const nasty = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: fc.constantFrom('=', '+', '-', '@', '\t', '\r', '\n', '"', ',', "'", 'a') }));
  fc.assert(
    fc.property(fc.array(nasty, { minLength: 1, maxLength: 5 }), (fields) => {
      const read = readRecord(fields.map(csvField).join(','));
      expect(read.map((field, index) => (field === fields[index] ? field : field.slice(1)))).toEqual(fields);
      for (const field of read) expect(field).not.toMatch(/^[=+\-@\t\r\n]/);
    }),
  );
});
