/**
 * Progress bars: tqdm's ` 37%|███▋      | 37/100 [00:01<00:02, 30.1it/s, loss=0.5]` (tqdm/std.py, `format_meter`), of which
 * Lightning's `Epoch 0:  37%|...` is one, and Lightning's other one, drawn with rich: `Epoch 0/9 ━━━━ 37/100 0:00:01 • 0:00:02 30.1it/s loss: 0.5`.
 * Bars of downloads, of tokenizing, of validation and the like are not the training, and are left out.
 */
import { isKnownName, pairsIn, type Sighting } from './metric-text.ts';
import type { TrainingPlace } from './read-keras.ts';

export interface BarReader {
  /** `nested`: drawn below another bar. */
  read(text: string, nested: boolean): Sighting | null;
  /** Steps that the training's unlabelled bars have come to: Hugging Face prints its numbers beside one, without a step. */
  readonly step: number | null;
}

/** The training's unlabelled bar. */
interface MainBar extends Pick<Bar, 'count' | 'total'> {
  /** Steps of the bars like it that came to their end before it: a loop draws one an epoch. */
  readonly before: number;
}

const withTotal =
  /^(?<label>.*?)\s*\d{1,3}%\s?(?:\|[^|]*\|)?\s*(?<count>\d+)\/(?<total>\d+) \[[\d:]+<[\d:?]+,\s+(?<rate>[\d.]+|\?)(?<unit>[^\s,\]]*)(?:, (?<postfix>.*?))?\s*\]$/;
const withoutTotal = /^(?<label>.*?)(?<count>\d+)[a-z]+ \[[\d:]+,\s+(?<rate>[\d.]+|\?)(?<unit>[^\s,\]]*)(?:, (?<postfix>.*?))?\s*\]$/;
const rich = /^(?<label>Epoch \d+)\/[-\d]+\s(?:[^\w\s]+\s){0,2}(?<count>\d+)\/(?<total>\d+) \S+ • \S+ (?<rate>[\d.]+)(?<unit>it\/s)\s*(?<postfix>.*)$/;

const trains = /train|epoch|step|iter|batch|\bfit|optimi/i;
const doesNotTrain = /valid|\bval\b|eval|test|predict|sanity|infer|download|load|upload|\bmap\b|token|filter|extract|generat|process|sampl/i;

/** Of so many totals, the last ones, it is known that they are no training's: a loop has one or two, and what is printed may be anything. */
const mostBeside = 20;

/** `from`: where a reader before this had come to. */
export function createBarReader(from: TrainingPlace): BarReader {
  let main: MainBar | null = null;
  /** Totals of bars that came between two of the training's: the loop's validation. */
  const beside = new Set<number>();
  /** The one before `main`, with another total. */
  let last: MainBar | null = null;
  const noteBeside = (total: number) => {
    beside.add(total);
    for (const oldest of [...beside].slice(0, -mostBeside)) beside.delete(oldest);
  };
  const next = (bar: Bar): MainBar => {
    const { count, total } = bar;
    if (main === null) return { count, total, before: stepsBefore(bar, from.step ?? 0) };
    if (total === main.total) return { count, total, before: main.before + (isAnew(bar, main) ? (total ?? 0) : 0) };
    if (total !== null && total === last?.total && isAnew(bar, last)) {
      if (main.total !== null && main.total < total) noteBeside(main.total);
      return { count, total, before: last.before + total };
    }
    last = main;
    return { count, total, before: 0 };
  };
  return {
    get step() {
      return main === null ? null : main.before + main.count;
    },
    read(text, nested) {
      const bar = barIn(text);
      if (bar === null) return null;
      const { label, count, total } = bar;
      let before = 0;
      if (label === '') {
        if (nested || isInside(bar, main) || (total !== null && beside.has(total))) return null; // an evaluation
        main = next(bar);
        before = main.before;
      } else if (!isTraining(bar)) return null;
      return count === 0 ? null : sightingOf(bar, before);
    },
  };
}

/** One that is at its end begins again. Several processes that draw theirs into one log are all near it. */
function isAnew({ count }: Bar, main: MainBar): boolean {
  return main.total !== null && main.count >= main.total && count * 2 < main.total;
}

/** Of the bars before this one, where `done` steps were told by the last reader. */
function stepsBefore({ count, total }: Bar, done: number): number {
  if (total === null || total === 0) return 0;
  const before = Math.floor(done / total) * total;
  return count === total && before === done ? Math.max(0, before - total) : before;
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
function isInside({ total }: Bar, main: MainBar | null): boolean {
  if (main === null || main.total === null || main.count >= main.total) return false;
  return total === null || total < main.total;
}

function isTraining({ label, measured }: Bar): boolean {
  return !doesNotTrain.test(label) && (trains.test(label) || measured.some(([name]) => isKnownName(name)));
}

/** `earlier`: steps of the bars before this one. */
function sightingOf({ label, count, total, rate, measured }: Bar, earlier: number): Sighting {
  const [, epochText, epochs] = /\bepoch\b\s*[:#]?\s*\[?(\d+)(?:\s*\/\s*(\d+))?/i.exec(label) ?? [];
  const epoch = epochText === undefined ? null : Number(epochText);
  // Who counts epochs up to their number begins with 1.
  const before = epoch === null || total === null ? earlier : Math.max(0, epochs === undefined ? epoch : epoch - 1) * total;
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
