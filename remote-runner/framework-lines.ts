/** What a line of a log says about the training in a framework's own words, at the pace at which it is worth a record. */
import { type Budget, createBudget, type MetricLimits, metricLimits } from './metric-budget.ts';
import { createPace, type Pace, type Seen } from './metric-pace.ts';
import { plainText, type Sighting } from './metric-text.ts';
import { createBarReader } from './read-bar.ts';
import { readDict } from './read-dict.ts';
import { createKerasReader, type TrainingPlace } from './read-keras.ts';
import { createPairsReader } from './read-pairs.ts';

export interface FrameworkReader {
  /** What is to be recorded after this line, in order. `end`: the offset behind it. */
  read(line: string, end: number, now: number): readonly Seen[];
  /** What was held back, and is due after a second, or complete, or anything. */
  due(now: number, which: 'due' | 'complete' | 'all'): readonly Seen[];
  readonly isHolding: boolean;
  /** A bar has come to its end, which is to be recorded before whatever lies behind it. */
  readonly isEnding: boolean;
  /** Of lines with pairs nothing is recorded now: the newest is held back, and of those before it nobody has to know what they say. */
  isFull(now: number): boolean;
  /** What `read` would hold back of such a line, which `isSurelyPairs`, unless a newer one is held. False: it says nothing. */
  hold(line: string, end: number): boolean;
}

/** Longer lines are no progress bars and no lines of a training loop; characters. */
export const longestRead = 2 * 1024;
/** tqdm goes back by it from a bar that it has drawn below another one. */
const cursorUp = '\u001b[A';
const mostValues = 100;
const longestName = 200;
/** `from`: where a reader before this had come to in the training. */
export function createFrameworkReader(from: TrainingPlace, limits: Pick<MetricLimits, 'pairs'> = metricLimits): FrameworkReader {
  const keras = createKerasReader(from);
  const bars = createBarReader(from);
  const pairsIn = createPairsReader();
  const paces = new Map<string, Pace>();
  const pairs = createPairsPace(createBudget(limits.pairs));

  const sight = (text: string, nested: boolean): Sighting | null => {
    if (text.startsWith('{')) {
      const dict = readDict(text);
      // The Trainer of Hugging Face prints beside its bar, which alone knows the step.
      return dict === null || dict.step !== null || dict.epoch === null ? dict : { ...dict, step: bars.step };
    }
    return keras.read(text) ?? bars.read(text, nested) ?? pairsIn(text);
  };
  const due: FrameworkReader['due'] = (now, which) => [...paces.values(), pairs].flatMap((pace) => pace.due(now, which));
  return {
    read(line, end, now) {
      if (line.length > longestRead) return [];
      const sighting = sight(plainText(line), line.includes(cursorUp));
      if (sighting === null) return [];
      const seen = { sighting: bounded(sighting), at: end };
      // A bar at its end lies before this line, and after a restart reading goes on behind it. Hugging Face's is drawn once more.
      if (sighting.source === 'pairs') return [...due(now, 'complete'), ...pairs.add(seen, now)];
      if (sighting.bar === null) return [seen];
      const lane = `${sighting.source} ${sighting.bar.evaluates}`;
      const pace = paces.get(lane) ?? createPace();
      paces.set(lane, pace);
      return pace.add(seen, now);
    },
    due,
    get isHolding() {
      return pairs.isHolding || [...paces.values()].some((pace) => pace.isHolding);
    },
    get isEnding() {
      for (const pace of paces.values()) if (pace.isComplete) return true;
      return false;
    },
    isFull: (now) => pairs.isFull(now),
    hold(line, end) {
      const sighting = pairsIn(plainText(line));
      if (sighting !== null) pairs.hold({ sighting: bounded(sighting), at: end });
      return sighting !== null;
    },
  };
}

interface PairsPace extends Pick<Pace, 'add' | 'due' | 'isHolding'> {
  isFull(now: number): boolean;
  hold(seen: Seen): void;
}

/** Each while there is something left; as of bars, the newest is held back. */
function createPairsPace(budget: Budget): PairsPace {
  let held: Seen | null = null;
  const tell = (seen: Seen): readonly Seen[] => {
    held = null;
    return [seen];
  };
  return {
    add(seen, now) {
      if (budget.take(now)) return tell(seen);
      held = seen;
      return [];
    },
    isFull: (now) => !budget.has(now),
    hold(seen) {
      if (held === null || held.at < seen.at) held = seen;
    },
    due: (now, which) => (held !== null && (which === 'all' || (which === 'due' && budget.take(now))) ? tell(held) : []),
    get isHolding() {
      return held !== null;
    },
  };
}

function bounded(sighting: Sighting): Sighting {
  const entries = Object.entries(sighting.values).filter(([name]) => name.length <= longestName);
  return { ...sighting, values: Object.fromEntries(entries.slice(0, mostValues)) };
}
