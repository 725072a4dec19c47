/** How a job's time was spent: from its changes of state, its checkpoints and what lies before it. */
import type { Checkpoint, JobEntry, JobRecord, JobState, TelemetrySpan } from '../core/job.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { CheckpointFigures, TimeFigures } from './report-figures.ts';
import { secondsOf } from './report-gpus.ts';

/** A stretch of time on the machine, milliseconds since the epoch. */
interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** What is known beside the records. Milliseconds since the epoch on the machine. */
interface Known {
  /** Up to when a job is looked at that has not ended; null: up to its newest record. */
  readonly until: number | null;
  /** When something was written, in any order; empty: that is not known. */
  readonly writtenAt: readonly number[];
}

/** While the command itself ran, one stretch an attempt. */
export function runStretches(records: readonly JobRecord[], known: Known): Stretch[] {
  const joined: Stretch[] = [];
  for (const { from, to, state } of stretches(records, known)) {
    const last = joined.at(-1);
    if (state === 'running') joined.push({ from, to });
    else if (state === 'cancelling' && last?.to === from) joined[joined.length - 1] = { from: last.from, to };
  }
  return joined;
}

/** Spans that lie in the time in which the command ran; all of them where that is not known. */
export function spansWhileRunning(spans: readonly TelemetrySpan[], runs: readonly Stretch[]): TelemetrySpan[] {
  if (runs.length === 0) return [...spans];
  return spans.filter(({ from, to }) => runs.some((run) => (from + to) / 2 >= run.from && (from + to) / 2 <= run.to));
}

/** While the command ran, seconds. @param writtenAt when something was written, milliseconds, in any order; empty: that is not known */
export function longestSilence(runs: readonly Stretch[], writtenAt: Iterable<number>): number | null {
  const times = [...writtenAt].sort((a, b) => a - b);
  if (times.length === 0 || runs.length === 0) return null;
  let longest = 0;
  let next = 0;
  for (const { from, to } of runs) {
    let last = from;
    while (next < times.length && (times[next] ?? 0) <= from) next += 1;
    for (; next < times.length && (times[next] ?? 0) < to; next += 1) {
      longest = Math.max(longest, (times[next] ?? 0) - last);
      last = times[next] ?? last;
    }
    longest = Math.max(longest, to - last);
  }
  return longest / 1000;
}

/** `jobs`: all of the machine. */
export function timeFigures(
  records: readonly JobRecord[],
  watched: readonly TelemetrySpan[],
  { job, machine, jobs }: { readonly job: JobEntry; readonly machine: MachineEntry; readonly jobs: readonly JobEntry[] },
  { silence, ...known }: Known & { readonly silence: number | null },
): TimeFigures {
  const all = stretches(records, known);
  const spent = (state: string) => all.reduce((sum, each) => sum + (each.state === state ? (each.to - each.from) / 1000 : 0), 0);
  const first = (machine.forOneJob || machine.kept === true) && machine.readyAt !== null && jobs.every(({ createdAt }) => createdAt >= job.createdAt);
  return {
    startUp: first && machine.readyAt !== null ? Math.max(0, machine.readyAt - (machine.begunAt ?? machine.createdAt)) / 1000 : null,
    sync: first && machine.readyAt !== null ? Math.max(0, job.createdAt - machine.readyAt) / 1000 : null,
    queue: spent('queued'),
    setup: spent('setup'),
    run: spent('running') + spent('cancelling'),
    between: spent('ended'),
    watched: secondsOf(watched),
    longestSilence: silence,
  };
}

export function checkpointFigures(records: readonly JobRecord[], runSeconds: number): CheckpointFigures {
  const checkpoints = records.flatMap((record) => (record.type === 'checkpoint' ? [record] : []));
  const seconds = unionSeconds(checkpoints);
  const [first, last] = [checkpoints[0], checkpoints.at(-1)];
  return {
    count: checkpoints.length,
    bytes: checkpoints.reduce((sum, { bytes }) => sum + bytes, 0),
    seconds,
    shareOfRun: runSeconds > 0 ? Math.min(1, seconds / runSeconds) : null,
    interval: first === undefined || last === undefined || checkpoints.length < 2 ? null : (last.endedAt - first.endedAt) / 1000 / (checkpoints.length - 1),
  };
}

/** Two that are written at the same time count once. */
function unionSeconds(checkpoints: readonly Checkpoint[]): number {
  let total = 0;
  let until = Number.NEGATIVE_INFINITY;
  for (const { beganAt, endedAt } of checkpoints.toSorted((a, b) => a.beganAt - b.beganAt)) {
    total += Math.max(0, endedAt - Math.max(beganAt, until));
    until = Math.max(until, endedAt);
  }
  return total / 1000;
}

const inOrder: readonly JobState[] = ['queued', 'setup', 'running', 'cancelling', 'ended'];

/** States only go on; from any other one the next attempt has begun. */
function isAnew(before: JobState, next: JobState): boolean {
  return inOrder.indexOf(next) <= inOrder.indexOf(before);
}

/** The records of each attempt. */
export function byAttempt(records: readonly JobRecord[]): JobRecord[][] {
  const attempts: JobRecord[][] = [[]];
  let before: JobState | null = null;
  for (const record of records) {
    if (record.type === 'state') {
      if (before !== null && isAnew(before, record.state)) attempts.push([]);
      before = record.state;
    }
    attempts.at(-1)?.push(record);
  }
  return attempts;
}

/** One a state. An attempt that was lost wrote no end: it is taken to have lasted until the last that was heard of it. */
function stretches(records: readonly JobRecord[], { until, writtenAt }: Known): (Stretch & { readonly state: JobState })[] {
  const states = records.flatMap((record) => (record.type === 'state' ? [record] : []));
  const newest = records.reduce((latest, { t }) => Math.max(latest, t), 0);
  const end = states.at(-1)?.state === 'ended' ? (states.at(-1)?.t ?? newest) : Math.max(newest, until ?? 0);
  return states.flatMap((record, at) => {
    const { state, t: from, n } = record;
    const next = states[at + 1];
    const to = Math.max(from, next?.t ?? end);
    if (next === undefined || state === 'ended' || !isAnew(state, next.state)) return [{ state, from, to }];
    const told = records.flatMap((each) => (each.n > n && each.n < next.n ? [each.t] : []));
    const lostAt = [...told, ...writtenAt].reduce((latest, t) => (t < to ? Math.max(latest, t) : latest), from);
    return [
      { state, from, to: lostAt },
      { state: 'ended', from: lostAt, to },
    ];
  });
}
