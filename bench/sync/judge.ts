/** Medians, ratios to the best rsync, and whether what is wanted was reached. */
import { median } from '../measure.ts';
import type { Form } from './contender.ts';
import type { Taken } from './rounds.ts';
import type { Wanted } from './workloads.ts';

export interface Row {
  readonly name: string;
  readonly form: Form | null;
  /** Of the times, seconds. */
  readonly median: number;
  readonly min: number;
  /** Medians. */
  readonly wireBytes: number | null;
  readonly nearMs: number | null;
  readonly farMs: number | null;
  /** Of the median, to that of the best rsync; null where none took part. */
  readonly toRsync: number | null;
  /** To the best of those that connect anew as this one does, or do not as this one. */
  readonly toItsLike: number | null;
  /** How much of the time the line needs for the content alone; null where there is no line. */
  readonly ofLine: number | null;
  readonly wanted: Wanted | null;
  readonly isReached: boolean | null;
}

export interface Judged {
  /** Of the folder's content. */
  readonly contentBytes: number;
  /** Of the line; null: there is none, or it is not for it to say how long this takes. */
  readonly megabits: number | null;
  readonly wanted: Readonly<Partial<Record<Form, Wanted>>>;
}

/** TCP and IP take 52 bytes of each packet of 1,500. */
const carried = 1448 / 1500;

export function judge(taken: readonly Taken[], { contentBytes, megabits, wanted }: Judged): readonly Row[] {
  const medianOf = ({ samples }: Taken) => median(samples.map(({ seconds }) => seconds));
  const rsyncs = taken.filter(({ kind }) => kind === 'rsync');
  const ratioTo = (others: readonly Taken[], seconds: number) => (others.length === 0 ? null : seconds / Math.min(...others.map(medianOf)));
  const lineSeconds = megabits === null ? null : (contentBytes * 8) / (megabits * 1e6 * carried);
  return taken.map((one) => {
    const seconds = medianOf(one);
    const like = rsyncs.filter(({ connects }) => connects === one.connects);
    const toItsLike = ratioTo(like, seconds);
    const ofLine = lineSeconds === null ? null : lineSeconds / seconds;
    const goal = (one.form === null ? null : wanted[one.form]) ?? null;
    return {
      name: one.name,
      form: one.form,
      median: seconds,
      min: Math.min(...one.samples.map((sample) => sample.seconds)),
      wireBytes: medianIfAll(one.samples.map(({ wireBytes }) => wireBytes)),
      nearMs: medianIfAll(one.samples.map(({ nearMs }) => nearMs)),
      farMs: medianIfAll(one.samples.map(({ farMs }) => farMs)),
      toRsync: ratioTo(rsyncs, seconds),
      toItsLike,
      ofLine,
      wanted: goal,
      isReached: isReached(goal, toItsLike, ofLine),
    };
  });
}

/** Like is judged by like: nobody who has a connection open chooses between it and a new one. */
function isReached(goal: Wanted | null, toItsLike: number | null, ofLine: number | null): boolean | null {
  if (goal === null) return null;
  if ('ratio' in goal) return toItsLike === null ? null : toItsLike <= goal.ratio;
  return ofLine === null ? null : ofLine >= goal.line;
}

function medianIfAll(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === values.length ? median(known) : null;
}
