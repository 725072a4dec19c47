/**
 * Progress bars: tqdm's ` 37%|███▋      | 37/100 [00:01<00:02, 30.1it/s, loss=0.5]` (tqdm/std.py, `format_meter`), of which
 * Lightning's `Epoch 0:  37%|...` is one, and Lightning's other one, drawn with rich: `Epoch 0/9 ━━━━ 37/100 0:00:01 • 0:00:02 30.1it/s loss: 0.5`.
 * Bars of downloads, of tokenizing, of validation and the like are not the training, and are left out.
 */
import { isKnownName, pairsIn, type Sighting } from './metric-text.ts';

export interface BarReader {
  /** `nested`: drawn below another bar. */
  read(text: string, nested: boolean): Sighting | null;
  /** Steps that the training's unlabelled bar has come to: Hugging Face prints its numbers beside one, without a step. */
  readonly step: number | null;
}

const withTotal =
  /^(?<label>.*?)\s*\d{1,3}%\s?(?:\|[^|]*\|)?\s*(?<count>\d+)\/(?<total>\d+) \[[\d:]+<[\d:?]+,\s+(?<rate>[\d.]+|\?)(?<unit>[^\s,\]]*)(?:, (?<postfix>.*?))?\s*\]$/;
const withoutTotal = /^(?<label>.*?)(?<count>\d+)[a-z]+ \[[\d:]+,\s+(?<rate>[\d.]+|\?)(?<unit>[^\s,\]]*)(?:, (?<postfix>.*?))?\s*\]$/;
const rich = /^(?<label>Epoch \d+)\/[-\d]+\s(?:[^\w\s]+\s){0,2}(?<count>\d+)\/(?<total>\d+) \S+ • \S+ (?<rate>[\d.]+)(?<unit>it\/s)\s*(?<postfix>.*)$/;

const trains = /train|epoch|step|iter|batch|\bfit|optimi/i;
const doesNotTrain = /valid|\bval\b|eval|test|predict|sanity|infer|download|load|upload|\bmap\b|token|filter|extract|generat|process|sampl/i;

export function createBarReader(): BarReader {
  let main: Pick<Bar, 'count' | 'total'> | null = null;
  return {
    get step() {
      return main?.count ?? null;
    },
    read(text, nested) {
      const bar = barIn(text);
      if (bar === null) return null;
      const { label, count } = bar;
      if (label === '') {
        if (nested || isInside(bar, main)) return null; // an evaluation
        main = bar;
      } else if (!isTraining(bar)) return null;
      return count === 0 ? null : sightingOf(bar);
    },
  };
}

interface Bar {
  readonly label: string;
  readonly count: number;
  readonly total: number | null;
  /** Steps a second. */
  readonly rate: number | null;
  readonly measured: readonly (readonly [string, number])[];
}

function barIn(text: string): Bar | null {
  if (!text.endsWith(']') && !text.includes(' • ')) return null;
  const parts = (withTotal.exec(text) ?? withoutTotal.exec(text) ?? rich.exec(text))?.groups;
  if (parts === undefined) return null;
  const label = (parts['label'] ?? '').replace(/:?\s*$/, '');
  return {
    label,
    count: Number(parts['count']),
    total: parts['total'] === undefined ? null : Number(parts['total']),
    rate: rateOf(parts['rate'] ?? '', parts['unit'] ?? ''),
    measured: [...pairsIn(label), ...pairsIn(parts['postfix'] ?? '')],
  };
}

/** A smaller bar, while the training's own has not come to its end. */
function isInside({ total }: Bar, main: Pick<Bar, 'count' | 'total'> | null): boolean {
  if (main === null || main.total === null || main.count >= main.total) return false;
  return total === null || total < main.total;
}

function isTraining({ label, measured }: Bar): boolean {
  return !doesNotTrain.test(label) && (trains.test(label) || measured.some(([name]) => isKnownName(name)));
}

function sightingOf({ label, count, total, rate, measured }: Bar): Sighting {
  const [, epochText, epochs] = /\bepoch\b\s*[:#]?\s*\[?(\d+)(?:\s*\/\s*(\d+))?/i.exec(label) ?? [];
  const epoch = epochText === undefined ? null : Number(epochText);
  // Who counts epochs up to their number begins with 1.
  const before = epoch === null || total === null ? 0 : Math.max(0, epochs === undefined ? epoch : epoch - 1) * total;
  const lightning = /^Epoch \d+$/.test(label);
  const values = {
    ...Object.fromEntries(measured.filter(([name]) => !/^epoch$/i.test(name))),
    ...(rate === null ? {} : { rate }),
    ...(lightning || total === null ? {} : { total }),
  };
  return { source: lightning ? 'lightning' : 'tqdm', values, step: before + count, epoch, bar: { complete: count === total, evaluates: false } };
}

/** `30.1it/s`, and `4.77s/it` for slow ones. */
function rateOf(text: string, unit: string): number | null {
  const rate = Number(text);
  if (!(rate > 0)) return null;
  return unit.startsWith('s/') ? Number((1 / rate).toPrecision(4)) : rate;
}
