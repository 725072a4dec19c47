import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { exampleFolder } from './run-example.ts';

interface Row {
  readonly features: readonly number[];
  readonly label: number;
}
interface IrisData {
  readRows(file: string): Row[];
  splitRows(rows: readonly Row[], random: unknown): Record<'train' | 'validation' | 'test', Row[]>;
  fitScaling(rows: readonly Row[]): { mean: number[]; deviation: number[] };
  scaleRows(rows: readonly Row[], scaling: { mean: number[]; deviation: number[] }): Row[];
}

const folder = exampleFolder('iris');
const { readRows, splitRows, fitScaling, scaleRows } = (await import(join(folder, 'data.js'))) as IrisData;
const { seededRandom } = (await import(join(folder, 'random.js'))) as { seededRandom(seed: number): { next(): number; state: number } };
const csv = join(folder, 'data/iris.csv');
const rows = readRows(csv);
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe('the data', () => {
  test('is 150 rows, 50 of each species', () => {
    expect(rows.map(({ label }) => label)).toEqual([0, 1, 2].flatMap((label) => Array(50).fill(label)));
  });

  test("has the published means and Fisher's own values where other copies are wrong", () => {
    expect([0, 1, 2, 3].map((i) => mean(rows.map(({ features }) => features[i] ?? Number.NaN)).toFixed(3))).toEqual(['5.843', '3.057', '3.758', '1.199']);
    expect(rows[34]?.features).toEqual([4.9, 3.1, 1.5, 0.2]);
    expect(rows[37]?.features).toEqual([4.9, 3.6, 1.4, 0.1]);
  });

  test('is the same in both examples', () => {
    expect(readFileSync(join(exampleFolder('iris-pytorch'), 'data/iris.csv'))).toEqual(readFileSync(csv));
  });

  test.each([
    ['an unknown species', '5.1,3.5,1.4,0.2,rosa', ':2: not a row of Iris data: 5.1,3.5,1.4,0.2,rosa'],
    ['a word for a number', '5.1,x,1.4,0.2,setosa', ':2: not a row'],
    ['an empty field', '5.1,,1.4,0.2,setosa', ':2: not a row'],
    ['a field too many', '5.1,3.5,1.4,0.2,setosa,1', ':2: not a row'],
  ])('with %s is refused, and the line is named', (_, line, message) => {
    const scratch = mkdtempSync(join(tmpdir(), 'gpu-run-iris-'));
    onTestFinished(() => rmSync(scratch, { recursive: true }));
    writeFileSync(join(scratch, 'bad.csv'), `sepal_length,sepal_width,petal_length,petal_width,species\n${line}\n`);
    expect(() => readRows(join(scratch, 'bad.csv'))).toThrow(message);
  });
});

describe('the split', () => {
  test('is disjoint, complete and stratified with any seed', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const parts = splitRows(rows, seededRandom(seed));
        const all = [...parts.train, ...parts.validation, ...parts.test];
        expect(new Set(all)).toEqual(new Set(rows));
        expect(all.length).toBe(150);
        for (const [part, each] of [
          ['train', 30],
          ['validation', 10],
          ['test', 10],
        ] as const) {
          expect([0, 1, 2].map((label) => parts[part].filter((row) => row.label === label).length)).toEqual([each, each, each]);
        }
      }),
    );
  });

  test('is another one with another seed', () => {
    expect(splitRows(rows, seededRandom(1)).test).not.toEqual(splitRows(rows, seededRandom(2)).test);
  });
});

test('scaling brings the rows it was fitted on, and not the others, to mean 0 and deviation 1', () => {
  const { train, test: unseen } = splitRows(rows, seededRandom(1));
  const scaling = fitScaling(train);
  const columnsOf = (part: readonly Row[]) => [0, 1, 2, 3].map((i) => scaleRows(part, scaling).map(({ features }) => features[i] ?? Number.NaN));
  for (const column of columnsOf(train)) {
    expect(mean(column)).toBeCloseTo(0, 10);
    expect(mean(column.map((value) => value ** 2))).toBeCloseTo(1, 10);
  }
  for (const column of columnsOf(unseen)) expect(Math.abs(mean(column))).toBeGreaterThan(0.001);
});

test('the random numbers go on where a saved state was', () => {
  fc.assert(
    fc.property(fc.integer(), fc.nat(50), (seed, drawn) => {
      const random = seededRandom(seed);
      for (let i = 0; i < drawn; i++) random.next();
      const resumed = seededRandom(0);
      resumed.state = JSON.parse(JSON.stringify(random.state)) as number;
      const next = Array.from({ length: 10 }, () => random.next());
      expect(Array.from({ length: 10 }, () => resumed.next())).toEqual(next);
      expect(next.every((value) => value >= 0 && value < 1)).toBe(true);
    }),
  );
});
