/** One plot as SVG. Colours are variables of the page, so that light, dark and paper each have their own. */
import type { Curve, Mark, Plot, Point } from '../../workflows/report-curves.ts';
import { escaped } from './report-escape.ts';
import { type Scale, xScale, yScale } from './report-scale.ts';

const width = 380;
const height = 190;
const left = 50;
const right = 12;
const top = 10;
const bottom = 24;
/** As many as the page has colours for. */
export const curveColors = 8;

/** `seconds`: how long the job was, for plots over time. */
export function renderChart(plot: Plot, marks: readonly Mark[], seconds: number): string {
  const x = xScale(plot, seconds);
  const y = yScale(plot);
  const place: Place = { x: (value) => lay(value, x, left, width - right), y: (value) => lay(value, y, height - bottom, top) };
  return [
    `<figure><figcaption>${escaped(plot.title)}${plot.x === 'time' ? '' : ` <span class="by">by ${plot.x}</span>`}</figcaption>`,
    legend(plot.curves),
    `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(describe(plot))}">`,
    ...y.ticks.map(({ at, text }) => tickY(place.y(at), text)),
    ...x.ticks.map(({ at, text }, index) => tickX(place.x(at), text, index === 0)),
    limitLine(plot, place),
    ...marks.map((mark) => markLine(mark, plot, x, place)),
    ...plot.curves.map((curve, index) => line(curve, index, place)),
    '</svg></figure>',
  ].join('');
}

interface Place {
  readonly x: (value: number) => number;
  readonly y: (value: number) => number;
}

function lay(value: number, { from, to }: Scale, start: number, end: number): number {
  const share = to > from ? Math.min(1, Math.max(0, (value - from) / (to - from))) : 0.5;
  return start + share * (end - start);
}

function legend(curves: readonly Curve[]): string {
  if (curves.length < 2) return '';
  const keys = curves.map(({ name }, index) => `<span><i class="c${index % curveColors}"></i>${escaped(name)}</span>`);
  return `<div class="keys">${keys.join('')}</div>`;
}

function tickY(at: number, text: string): string {
  return `<path class="grid" d="M${left} ${px(at)}H${width - right}"/><text class="tick y" x="${left - 6}" y="${px(at + 3.5)}">${escaped(text)}</text>`;
}

function tickX(at: number, text: string, isFirst: boolean): string {
  const anchor = isFirst && at <= left + 8 ? ' first' : at > width - right - 14 ? ' last' : '';
  return `<text class="tick x${anchor}" x="${px(at)}" y="${height - 8}">${escaped(text)}</text>`;
}

function limitLine({ limit, unit }: Plot, place: Place): string {
  return limit === null || unit === 'percent' ? '' : `<path class="limit" d="M${left} ${px(place.y(limit))}H${width - right}"/>`;
}

function markLine({ kind, at, step, text }: Mark, plot: Plot, scale: Scale, place: Place): string {
  const value = plot.x === 'time' ? at : plot.x === 'step' ? step : null;
  if (value === null || value < scale.from || value > scale.to) return '';
  const x = px(place.x(value));
  const title = `<title>${escaped(text)}</title>`;
  if (kind === 'attempt') return `<path class="attempt" d="M${x} ${top}V${height - bottom}">${title}</path>`;
  return `<path class="checkpoint" d="M${x} ${height - bottom - 6}l3.5 6h-7z">${title}</path>`;
}

function line({ name, points, starts = [] }: Curve, index: number, place: Place): string {
  const path = points.map(([x, y], at) => `${at === 0 || starts.includes(at) ? 'M' : 'L'}${px(place.x(x))} ${px(place.y(y))}`).join('');
  return `<path class="line c${index % curveColors}" d="${path}"><title>${escaped(`${name}: ${extremes(points)}`)}</title></path>`;
}

function extremes(points: readonly Point[]): string {
  const values = points.map(([, y]) => y);
  return `lowest ${short(Math.min(...values))}, highest ${short(Math.max(...values))}, last ${short(values.at(-1) ?? 0)}`;
}

function describe({ title, curves }: Plot): string {
  return `${title}. ${curves.map(({ name, points }) => `${name}: ${extremes(points)}`).join('. ')}`;
}

function short(value: number): string {
  return String(Number(value.toPrecision(4)));
}

function px(value: number): string {
  return String(Math.round(value * 10) / 10);
}
