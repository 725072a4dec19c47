/** What the training says of itself, in `top`: speed, newest values, the curve of the loss. */
import { isMeasure, lossFirst } from '../../workflows/report-training.ts';
import { totalsOf } from '../../workflows/top-eta.ts';
import type { TopView } from '../../workflows/top-model.ts';
import { rate, round } from './report-text.ts';
import { span } from './text.ts';
import { columnsOf, firstThatFits, fitLine, type Line, lineColumns, piece } from './top-line.ts';
import type { Look } from './top-look.ts';
import { plotCurve, sparkline } from './top-plot.ts';

/** Below this a curve is one line. */
const leastPlot = 3;

export function trainingLines(view: TopView, width: number, height: number, look: Look): Line[] {
  const { training } = view;
  const { style } = look;
  if (height === 0 || view.job === null) return [];
  const values = Object.entries(training.last)
    .filter(([name]) => isMeasure(name))
    .sort(([a], [b]) => lossFirst(a, b));
  if (values.length === 0 && training.step === null) return [[['  no metrics yet', style.dim]]];
  const parts = speedParts(view);
  const speed = firstThatFits(
    parts.map((_, left): Line => [[`  ${parts.slice(0, parts.length - left).join('   ')}`]]),
    width,
  );
  const numbers = fitLine(
    values.flatMap(([name, value], at): Line => [[at === 0 ? '  ' : '   '], piece(name, style.dim), [' '], [String(Number(value.toPrecision(4))), style.bold]]),
    width,
  );
  const texts = [speed, numbers].filter((line) => lineColumns(line) > 2);
  return [...texts.slice(0, height), ...curveLines(view, width, height - texts.length, look)];
}

/** The first ones are the last to give way. */
function speedParts(view: TopView): readonly string[] {
  const { step, epoch, stepsPerSecond, secondsPerEpoch } = view.training;
  const { steps, epochs } = totalsOf(view);
  return [
    ...(step === null ? [] : [`step ${round(step)}${steps === null ? '' : ` of ${round(steps)}`}`]),
    ...(epoch === null ? [] : [`epoch ${round(epoch)}${epochs === null ? '' : ` of ${round(epochs)}`}`]),
    ...(stepsPerSecond === null ? [] : [rate(stepsPerSecond)]),
    ...(secondsPerEpoch === null ? [] : [`${secondsPerEpoch < 60 ? `${round(secondsPerEpoch)} s` : span(secondsPerEpoch)} an epoch`]),
  ];
}

function curveLines({ training }: TopView, width: number, height: number, look: Look): Line[] {
  const { style, glyphs } = look;
  const name = mainMetric([...training.curves.keys()]);
  const points = name === null ? [] : (training.curves.get(name) ?? []);
  if (name === null || points.length < 2 || height < 1 || width < 20) return [];
  const ys = points.map(([, y]) => y);
  const low = ys.reduce((best, y) => Math.min(best, y), Number.POSITIVE_INFINITY);
  const high = ys.reduce((best, y) => Math.max(best, y), Number.NEGATIVE_INFINITY);
  const label = piece(name, style.dim);
  if (height < leastPlot) {
    const room = width - columnsOf(label[0]) - 4;
    if (room < 6) return [];
    const course = resample(ys, room).map((y) => y - low);
    return [[['  '], label, [' '], [sparkline(course, course.length, high - low, glyphs), style.green]]];
  }
  const [top, bottom] = [round(high), round(low)];
  const gutter = Math.min(12, Math.max(columnsOf(top), columnsOf(bottom), 4)) + 3;
  const drawn = plotCurve(points, Math.max(1, width - gutter), Math.min(height, 12), glyphs);
  return drawn.map((text, at): Line => {
    const mark = at === 0 ? top : at === drawn.length - 1 ? bottom : at === 1 ? label[0] : '';
    return fitLine(
      [
        [`${mark.slice(0, gutter - 1).padStart(gutter - 1)} `, style.dim],
        [text, style.green],
      ],
      width,
    );
  });
}

/** At most so many values, each the mean of as many. */
function resample(values: readonly number[], most: number): number[] {
  const count = Math.min(most, values.length);
  return Array.from({ length: count }, (_, at) => {
    const part = values.slice(Math.floor((at * values.length) / count), Math.floor(((at + 1) * values.length) / count));
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
}

function mainMetric(names: readonly string[]): string | null {
  const [loss] = names.filter((name) => /loss/i.test(name)).sort(lossFirst);
  return loss ?? names.find((name) => isMeasure(name) && !/^(lr|learning_rate|rate|grad_norm)$/.test(name)) ?? null;
}
