/** The Iris data: read, split, scaled. Plain numbers only; tensors begin in model.js. */
import { readFileSync } from 'node:fs';
import { shuffled } from './random.js';

export const species = ['setosa', 'versicolor', 'virginica'];
export const measurements = ['sepal_length', 'sepal_width', 'petal_length', 'petal_width'];

/** The CSV file as rows of `{features: [cm, cm, cm, cm], label: 0..2}`. Throws on a line that is not one. */
export function readRows(file) {
  const [header, ...lines] = readFileSync(file, 'utf8').trimEnd().split(/\r?\n/);
  const expected = [...measurements, 'species'].join(',');
  if (header !== expected) throw new Error(`${file}: the first line should be "${expected}"`);
  return lines.map((line, index) => {
    const fields = line.split(',');
    const label = species.indexOf(fields[4]);
    const features = fields.slice(0, 4).map((field) => (field.trim() === '' ? Number.NaN : Number(field)));
    if (fields.length !== 5 || label < 0 || !features.every(Number.isFinite)) throw new Error(`${file}:${index + 2}: not a row of Iris data: ${line}`);
    return { features, label };
  });
}

/** 60 % train, 20 % validation, 20 % test, with the same share of every species in each. */
export function splitRows(rows, random) {
  const parts = { train: [], validation: [], test: [] };
  for (const label of species.keys()) {
    const ofSpecies = shuffled(
      rows.filter((row) => row.label === label),
      random,
    );
    const fifth = Math.floor(ofSpecies.length / 5);
    parts.test.push(...ofSpecies.slice(0, fifth));
    parts.validation.push(...ofSpecies.slice(fifth, 2 * fifth));
    parts.train.push(...ofSpecies.slice(2 * fifth));
  }
  return parts;
}

/** Mean and standard deviation of each measurement. Give it the training rows alone: the other parts stay unseen. */
export function fitScaling(rows) {
  const mean = measurements.map((_, i) => average(rows.map((row) => row.features[i])));
  const deviation = measurements.map((_, i) => Math.sqrt(average(rows.map((row) => (row.features[i] - mean[i]) ** 2))));
  return { mean, deviation };
}

export function scaleRows(rows, { mean, deviation }) {
  return rows.map(({ features, label }) => ({ features: features.map((value, i) => (value - mean[i]) / deviation[i]), label }));
}

function average(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
