/**
 * Of what a job reports itself (its metrics file, JSON lines, what its patterns find) each record while they are so many, then so many a
 * second and always the newest: a loop that reports thousands of steps a second is not to fill the disk with records. Records
 * with other names are paced apart, so that a rare one is not lost among many.
 */
import type { NewRecord } from './journal.ts';
import { type Budget, createBudget, type MetricLimits, metricLimits } from './metric-budget.ts';
import { isChosen, type MetricPlace, type MetricRecord } from './metric-filter.ts';

export interface MetricLanes {
  /** What is to be recorded now of these, in order. */
  add(records: readonly NewRecord[], now: number): readonly NewRecord[];
  /** What was held back and is due, or all of it. */
  due(now: number, which: 'due' | 'all'): readonly NewRecord[];
  readonly isHolding: boolean;
  /** Of records like this one, with whatever numbers, only the newest is held back now: those before it change nothing. */
  isFull(record: MetricRecord, now: number): boolean;
}

interface Lane {
  readonly budget: Budget;
  held: MetricRecord | null;
}

const mostLanes = 50;
/** Different names of one job. More than that are made up as it goes: `loss_batch_4711`. */
const mostNames = 1_000;

/** `from`: where reading goes on. */
export function createMetricLanes(from: Pick<MetricPlace, 'logMetricsAt' | 'fileMetricsAt'>, { own }: Pick<MetricLimits, 'own'> = metricLimits): MetricLanes {
  const lanes = new Map<string, Lane>();
  const names = new Set<string>();
  const places = { file: from.fileMetricsAt, log: from.logMetricsAt };
  let fileAt = 0;
  let isThinned = false;
  let isCut = false;

  const laneNameOf = ({ source, values }: MetricRecord): string => {
    const name = `${source} ${Object.keys(values).sort().join(' ')}`;
    return lanes.has(name) || lanes.size < mostLanes ? name : '';
  };
  const laneOf = (record: MetricRecord): Lane => {
    const name = laneNameOf(record);
    const lane = lanes.get(name) ?? { budget: createBudget(own), held: null };
    lanes.set(name, lane);
    return lane;
  };
  const isKnown = (name: string): boolean => {
    if (names.size < mostNames) names.add(name);
    return names.has(name);
  };
  /** The job may begin its metrics file anew: what is held then lies nowhere any more. */
  const heed = (at: number) => {
    if (at <= fileAt) {
      places.file = 0;
      for (const lane of lanes.values()) if (lane.held?.source === 'file') lane.held = { ...lane.held, at: 0 };
    }
    fileAt = at;
  };
  /** Reading goes on behind the last one that was told: none may go back. Held ones before it are lost with a runner that is killed; to read them again would double the others. */
  const tell = (record: MetricRecord): MetricRecord => {
    const where = record.source === 'file' ? 'file' : 'log';
    places[where] = Math.max(places[where], record.at);
    return { ...record, at: places[where] };
  };
  const tellHeld = (lane: Lane): NewRecord[] => {
    const { held } = lane;
    lane.held = null;
    return held === null ? [] : [tell(held)];
  };
  const pace = (record: MetricRecord, now: number): NewRecord[] => {
    if (!isChosen(record)) return [tell(record)]; // has a pace of its own
    const lane = laneOf(record);
    lane.held = record;
    if (lane.budget.take(now)) return tellHeld(lane);
    if (isThinned) return [];
    isThinned = true;
    return [warning(`The job reports metrics faster than ${own.perSecond} times a second: from here on not all are recorded, but always the newest.`)];
  };
  const take = (record: NewRecord, now: number): NewRecord[] => {
    if (record.type !== 'metric') return [record];
    if (record.source === 'file') heed(record.at);
    const all = Object.entries(record.values);
    const known = all.filter(([name]) => isKnown(name));
    if (known.length === all.length) return pace(record, now);
    const notes = isCut ? [] : [warning(`The job reports metrics under more than ${mostNames} names: further ones are not recorded.`)];
    isCut = true;
    return known.length === 0 ? notes : [...notes, ...pace({ ...record, values: Object.fromEntries(known) }, now)];
  };
  return {
    add: (records, now) => records.flatMap((record) => take(record, now)),
    due: (now, which) => [...lanes.values()].flatMap((lane) => (lane.held !== null && (which === 'all' || lane.budget.take(now)) ? tellHeld(lane) : [])),
    get isHolding() {
      return [...lanes.values()].some(({ held }) => held !== null);
    },
    isFull(record, now) {
      if (!isThinned || !Object.keys(record.values).every((name) => names.has(name))) return false;
      return lanes.get(laneNameOf(record))?.budget.has(now) === false;
    },
  };
}

function warning(text: string): NewRecord {
  return { type: 'note', level: 'warn', text };
}
