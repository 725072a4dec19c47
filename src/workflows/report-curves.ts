/** What a job's plots show: points over time and over steps, at most so many that a page can hold them all. */
import type { JobRecord, TelemetrySpan } from '../core/job.ts';
import { spansOf } from './report-figures.ts';
import { byAttempt } from './report-times.ts';
import { isMeasure } from './report-training.ts';

export type Point = readonly [x: number, y: number];

export interface Curve {
  readonly name: string;
  readonly points: readonly Point[];
  /** Where among them another attempt begins: no line leads there. Absent: nowhere. */
  readonly starts?: readonly number[];
}

/** Curves that share a unit. */
export interface Plot {
  readonly title: string;
  readonly unit: 'percent' | 'bytes' | 'watts' | 'celsius' | 'rate' | 'plain';
  /** Seconds since the first record, or the step, or the epoch. */
  readonly x: 'time' | 'step' | 'epoch';
  readonly curves: readonly Curve[];
  /** The top of the scale, where there is one: a card's memory, 100 per cent. */
  readonly limit: number | null;
}

export interface Mark {
  readonly kind: 'attempt' | 'checkpoint';
  /** Seconds since the first record. */
  readonly at: number;
  /** The last step that was told before; null: none was. */
  readonly step: number | null;
  readonly text: string;
}

export interface Curves {
  /** Of the first record, milliseconds since the epoch. */
  readonly startedAt: number;
  readonly seconds: number;
  readonly machine: readonly Plot[];
  readonly metrics: readonly Plot[];
  readonly marks: readonly Mark[];
}

const mostPoints = 400;
/** Of one attempt, however many there are. */
const leastPoints = 20;
const mostMetrics = 24;
/** Of checkpoints; each stands in each plot. */
const mostMarks = 200;

export function curvesOf(records: readonly JobRecord[]): Curves {
  const startedAt = records[0]?.t ?? 0;
  const end = records.reduce((latest, { t }) => Math.max(latest, t), startedAt);
  const attempts = byAttempt(records);
  return {
    startedAt,
    seconds: (end - startedAt) / 1000,
    machine: machinePlots(attempts.map(spansOf), startedAt),
    metrics: metricPlots(attempts, startedAt),
    marks: marksOf(records, startedAt),
  };
}

type GpuSpan = TelemetrySpan['gpus'][number];

function machinePlots(attempts: readonly (readonly TelemetrySpan[])[], startedAt: number): Plot[] {
  const spans = attempts.flat();
  const indexes = [...new Set(spans.flatMap(({ gpus }) => gpus.map(({ index }) => index)))].sort((a, b) => a - b);
  const middle = ({ from, to }: TelemetrySpan) => ((from + to) / 2 - startedAt) / 1000;
  const gpu = (pick: (gpu: GpuSpan) => number | null) => indexes.map((index) => curve(`GPU ${index}`, attempts, middle, (span) => pickFrom(span, index, pick)));
  const host = (name: string, pick: (host: TelemetrySpan['host'], span: TelemetrySpan) => number | null) =>
    curve(name, attempts, middle, (span) => pick(span.host, span));
  const most = (values: readonly (number | null)[]) =>
    values.reduce<number | null>((best, value) => (value !== null && value > (best ?? 0) ? value : best), null);
  const perSecond = (bytes: number | null, { from, to }: TelemetrySpan) => (bytes === null || to <= from ? null : (bytes * 1000) / (to - from));
  const capacity = most(spans.flatMap((span) => span.gpus.map(({ memoryTotalBytes }) => memoryTotalBytes)));
  const power = most(spans.flatMap((span) => span.gpus.map(({ powerLimitWatts }) => powerLimitWatts)));
  const plots: Plot[] = [
    { title: 'GPU utilisation', unit: 'percent', x: 'time', curves: gpu((each) => each.utilizationMean), limit: 100 },
    { title: 'GPU memory', unit: 'bytes', x: 'time', curves: gpu((each) => each.memoryPeakBytes), limit: capacity },
    { title: 'GPU power', unit: 'watts', x: 'time', curves: gpu((each) => each.powerMeanWatts), limit: power },
    { title: 'GPU temperature', unit: 'celsius', x: 'time', curves: gpu((each) => each.temperatureMaxC), limit: null },
    {
      title: 'CPU',
      unit: 'percent',
      x: 'time',
      curves: [host('All CPUs', ({ cpuMean }) => cpuMean), host('Busiest CPU', ({ busiestCpuMean }) => busiestCpuMean)],
      limit: 100,
    },
    {
      title: 'Memory of the machine',
      unit: 'bytes',
      x: 'time',
      curves: [host('Used', ({ memoryPeakBytes }) => memoryPeakBytes)],
      limit: most(spans.map((span) => span.host.memoryTotalBytes)),
    },
    {
      title: 'Disk and network, bytes a second',
      unit: 'rate',
      x: 'time',
      curves: [
        host('Read', ({ diskReadBytes }, span) => perSecond(diskReadBytes, span)),
        host('Written', ({ diskWriteBytes }, span) => perSecond(diskWriteBytes, span)),
        host('Received', ({ netReceivedBytes }, span) => perSecond(netReceivedBytes, span)),
        host('Sent', ({ netSentBytes }, span) => perSecond(netSentBytes, span)),
      ],
      limit: null,
    },
  ];
  return drawable(plots);
}

function pickFrom(span: TelemetrySpan, index: number, pick: (gpu: GpuSpan) => number | null): number | null {
  const gpu = span.gpus.find((each) => each.index === index);
  return gpu === undefined ? null : pick(gpu);
}

function curve(
  name: string,
  attempts: readonly (readonly TelemetrySpan[])[],
  x: (span: TelemetrySpan) => number,
  y: (span: TelemetrySpan) => number | null,
): Curve {
  const lines = attempts.map((spans) => spans.flatMap((span) => pointAt(x(span), y(span))));
  return curveOf(name, lines);
}

/** `lines`: one an attempt. */
function curveOf(name: string, lines: readonly (readonly Point[])[]): Curve {
  const drawn = lines.filter((points) => points.length > 0);
  const thinned = drawn.map((points) => thin(points, Math.max(leastPoints, mostPoints / drawn.length)));
  const starts: number[] = [];
  let count = 0;
  for (const { length } of thinned) {
    if (count > 0) starts.push(count);
    count += length;
  }
  return { name, points: thinned.flat(), ...(starts.length === 0 ? {} : { starts }) };
}

function pointAt(x: number | null, y: number | null): Point[] {
  return x === null || y === null || !Number.isFinite(y) ? [] : [[x, y]];
}

/** `loss` or `Loss` and `val_loss`, `eval_loss`, `test/loss` are drawn together, under what they share; losses come first. */
function metricPlots(attempts: readonly (readonly JobRecord[])[], startedAt: number): Plot[] {
  const plots = new Map<string, [string, Measured[]][]>();
  for (const [name, values] of valuesByName(attempts, startedAt)) {
    const of = baseOf(name).toLowerCase();
    plots.set(of, [...(plots.get(of) ?? []), [name, values]]);
  }
  const inOrder = [...plots].sort(([a], [b]) => Number(!/loss/i.test(a)) - Number(!/loss/i.test(b)));
  const drawn = drawable(
    inOrder.map(([, named]) => {
      const x = axisOf(named.map(([, values]) => values));
      const pointsOf = (values: readonly Measured[]) => values.flatMap((each) => pointAt(each[x], each.value));
      const curves = named.map(([name, values]) => {
        const lines = attempts.map((_, attempt) => pointsOf(values.filter((each) => each.attempt === attempt)));
        return curveOf(name, lines);
      });
      return { title: '', unit: 'plain' as const, x, curves, limit: null };
    }),
  );
  return drawn.map((plot) => ({ ...plot, title: titleOf(plot) }));
}

function titleOf({ curves: [first, ...others] }: Plot): string {
  const name = first?.name ?? '';
  return others.length === 0 ? name : baseOf(name);
}

function baseOf(metric: string): string {
  return metric.replace(/^(train|val|valid|validation|eval|test|dev)[_/.]/i, '');
}

/** One value, and where it stands: a record that names no step or epoch stands at the last one that was named before it. */
interface Measured {
  readonly value: number;
  readonly attempt: number;
  readonly time: number;
  readonly step: number | null;
  readonly epoch: number | null;
  /** What its own record names. */
  readonly names: { readonly step: boolean; readonly epoch: boolean };
}

/** What most of a plot's own records name, unless a curve over that would go to and fro, or up and down in one place: then time. */
function axisOf(curves: readonly (readonly Measured[])[]): 'step' | 'epoch' | 'time' {
  const values = curves.flat();
  const steps = values.filter(({ names }) => names.step).length;
  const epochs = values.filter(({ names }) => names.epoch).length;
  const named = steps >= 2 && steps >= epochs / 2 ? 'step' : epochs >= 2 ? 'epoch' : 'time';
  return named !== 'time' && curves.some((each) => beginsAnew(each, named) || isCrowded(each, named)) ? 'time' : named;
}

/** As steps do that are counted from nothing in each epoch; what goes back a little has gone on from a checkpoint. */
function beginsAnew(values: readonly Measured[], axis: 'step' | 'epoch'): boolean {
  let attempt = 0;
  let highest = 0;
  return values.some((each) => {
    if (each.attempt !== attempt) [attempt, highest] = [each.attempt, 0];
    const at = each[axis] ?? 0;
    if (at < highest / 2) return true;
    highest = Math.max(highest, at);
    return false;
  });
}

/** On average, in one place. */
const mostInPlace = 3;

/** As the many losses of an epoch are where nothing but the epoch is told. */
function isCrowded(values: readonly Measured[], axis: 'step' | 'epoch'): boolean {
  return values.length > mostInPlace * new Set(values.map((each) => `${each.attempt} ${each[axis]}`)).size;
}

function valuesByName(attempts: readonly (readonly JobRecord[])[], startedAt: number): Map<string, Measured[]> {
  const byName = new Map<string, Measured[]>();
  let step: number | null = null;
  let epoch: number | null = null;
  for (const [attempt, record] of attempts.flatMap((records, at) => records.map((each) => [at, each] as const))) {
    if (record.type !== 'metric') continue;
    step = record.step ?? step;
    epoch = record.epoch ?? epoch;
    const place = { attempt, time: (record.t - startedAt) / 1000, step, epoch, names: { step: record.step !== null, epoch: record.epoch !== null } };
    for (const [name, value] of Object.entries(record.values)) {
      const known = byName.get(name);
      if (!Number.isFinite(value) || !isMeasure(name)) continue;
      if (known !== undefined) known.push({ ...place, value });
      else if (byName.size < mostMetrics) byName.set(name, [{ ...place, value }]);
    }
  }
  return byName;
}

/** A single point is no curve. */
function drawable(plots: readonly Plot[]): Plot[] {
  return plots.map((plot) => ({ ...plot, curves: plot.curves.filter(({ points }) => points.length >= 2) })).filter(({ curves }) => curves.length > 0);
}

function marksOf(records: readonly JobRecord[], startedAt: number): Mark[] {
  const marks: Mark[] = [];
  let step: number | null = null;
  let attempt = 0;
  for (const record of records) {
    const at = (record.t - startedAt) / 1000;
    if (record.type === 'metric') step = record.step ?? step;
    if (record.type === 'checkpoint') marks.push({ kind: 'checkpoint', at, step, text: record.path });
    if (record.type === 'state' && record.state === 'running' && ++attempt > 1) marks.push({ kind: 'attempt', at, step, text: `attempt ${attempt}` });
  }
  const checkpoints = marks.filter(({ kind }) => kind === 'checkpoint');
  const every = Math.ceil(checkpoints.length / mostMarks);
  const shown = new Set(checkpoints.filter((_, at) => (checkpoints.length - 1 - at) % every === 0));
  return marks.filter((mark) => mark.kind !== 'checkpoint' || shown.has(mark));
}

/** Of each stretch of points the lowest and the highest, in their order, and the last one: no peak is lost. */
export function thin(points: readonly Point[], most: number = mostPoints): readonly Point[] {
  if (points.length <= most) return points;
  const size = Math.ceil(points.length / (most / 2 - 1));
  const kept: Point[] = [];
  for (let at = 0; at < points.length; at += size) {
    const stretch = points.slice(at, at + size);
    const low = stretch.reduce((best, point) => (point[1] < best[1] ? point : best));
    const high = stretch.reduce((best, point) => (point[1] > best[1] ? point : best));
    kept.push(...(low === high ? [low] : stretch.filter((point) => point === low || point === high)));
  }
  const last = points.at(-1);
  return last === undefined || kept.at(-1) === last ? kept : [...kept, last];
}
