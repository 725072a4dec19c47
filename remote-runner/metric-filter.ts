/** Which of the numbers that were found become part of the record. */
import type { JournalFacts, NewRecord } from './journal.ts';

export type MetricRecord = Extract<NewRecord, { type: 'metric' }>;

/** Sources whose names the user has chosen. */
const chosen: ReadonlySet<MetricRecord['source']> = new Set(['file', 'json', 'regex']);

export function isChosen({ source }: MetricRecord): boolean {
  return chosen.has(source);
}

/** Of the names that were seen, no more than this many are remembered. */
const mostNames = 1_000;

/**
 * What the user reports is not repeated from a framework's line that shows it rounded; what is no finite number is told once in a
 * note, as no record (and no JSON) can hold it.
 */
export function createMetricFilter(): (records: readonly MetricRecord[]) => NewRecord[] {
  const reported = new Set<string>();
  const odd = new Set<string>();

  const filter = (record: MetricRecord): NewRecord[] => {
    const isOwn = isChosen(record);
    const entries = Object.entries(record.values).filter(([name]) => isOwn || !reported.has(name));
    if (isOwn && reported.size < mostNames) for (const [name] of entries) reported.add(name);
    const finite = entries.filter(([, value]) => Number.isFinite(value));
    const notes = entries.flatMap(([name, value]) => (Number.isFinite(value) || odd.has(name) ? [] : [noteOn(name, value, record.step)]));
    for (const [name, value] of entries) if (!Number.isFinite(value) && odd.size < mostNames) odd.add(name);
    if (finite.length === 0) return notes;
    return [{ ...record, values: Object.fromEntries(finite) }, ...notes];
  };
  return (records) => records.flatMap(filter);
}

function noteOn(name: string, value: number, step: number | null): NewRecord {
  const what = Number.isNaN(value) ? 'not a number (nan)' : 'infinite';
  return { type: 'note', level: 'warn', text: `The metric '${name}' is ${what}${step === null ? '' : ` at step ${step}`}.` };
}

/** What a restarted reader goes on from. */
export type MetricPlace = Pick<JournalFacts, 'logMetricsAt' | 'fileMetricsAt' | 'logPlace'>;
