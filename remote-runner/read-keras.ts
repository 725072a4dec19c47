/**
 * What `model.fit` of Keras prints: `Epoch 3/10`, then `123/469 ━━━━ 2s 4ms/step - accuracy: 0.98 - loss: 0.05`; before version 3
 * `123/469 [====>....] - ETA: 2s - loss: 0.05`; with `verbose=2` one line an epoch, `469/469 - 3s - 6ms/step - loss: 0.05`.
 * (keras/src/utils/progbar.py.)
 */
import { isMeasured, numberIn, type Sighting } from './metric-text.ts';

export interface KerasReader {
  read(text: string): Sighting | null;
}

const epochLine = /^Epoch (\d+)\/(\d+)$/;
const countLine = /^(\d+)\/(\d+|Unknown)(?=\s)(.*)$/;
const duration = /(?:\/(?:step|epoch|sample)\b|\bETA: |^\s+-\s+\d+s\b)/;
const metric = /^([\w@./-]+): (\S+)$/;

export interface TrainingPlace {
  readonly step: number | null;
  readonly epoch: number | null;
}

/** `from`: where a reader before this had come to. */
export function createKerasReader(from: TrainingPlace): KerasReader {
  let at: Place = { epoch: from.epoch, total: null, count: 0, done: from.step };
  let step: number | null = from.step;
  return {
    read(text) {
      if (!/^[\dE]/.test(text)) return null;
      const begun = epochLine.exec(text);
      if (begun !== null) at = { epoch: Number(begun[1]), total: null, count: 0, done: null };
      const drawn = barIn(text);
      if (drawn === null) return null;
      const { values, count, total } = drawn;
      const complete = count === total;
      const none = Object.keys(values).length === 0;
      if (isAnother(drawn, at))
        return none || !complete ? null : { source: 'keras', values: evaluated(values), step, epoch: at.epoch, bar: { complete, evaluates: true } };
      at = { ...at, total, count };
      step = stepOf(at);
      return none ? null : { source: 'keras', values, step, epoch: at.epoch, bar: { complete, evaluates: false } };
    },
  };
}

interface Place {
  readonly epoch: number | null;
  /** Steps of an epoch. */
  readonly total: number | null;
  readonly count: number;
  /** The training's step that an earlier reader had seen of this epoch. */
  readonly done: number | null;
}

function barIn(text: string): (Pick<Place, 'total' | 'count'> & { readonly values: Readonly<Record<string, number>> }) | null {
  const [, count, total, rest = ''] = countLine.exec(text) ?? [];
  if (count === undefined || !duration.test(rest)) return null;
  const values = Object.fromEntries(rest.split(/\s+-\s+/).flatMap(measuredIn));
  return { count: Number(count), total: total === 'Unknown' ? null : Number(total), values };
}

/** `evaluate` and `predict` draw the same bars, but announce no epoch. */
function isAnother(drawn: Pick<Place, 'total' | 'count'>, at: Place): boolean {
  if (at.epoch === null) return false;
  if (at.count === 0) return at.done !== null && (stepOf({ ...at, ...drawn }) ?? at.done) < at.done;
  return drawn.count < at.count || (at.total !== null && drawn.total !== at.total);
}

/** null: of an epoch whose length nobody knows yet. */
function stepOf({ epoch, total, count }: Place): number | null {
  if (epoch === null) return count;
  return total === null ? null : (epoch - 1) * total + count;
}

function evaluated(values: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`eval_${name}`, value]));
}

function measuredIn(part: string): [string, number][] {
  const [, name = '', text = ''] = metric.exec(part.trim()) ?? [];
  const value = numberIn(text);
  return value === null || !isMeasured(name) ? [] : [[name, value]];
}
