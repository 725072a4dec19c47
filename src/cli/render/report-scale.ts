/** Axes of plots: where their ticks stand, and what is written there. */
import { formatSize } from '../../core/size.ts';
import type { Plot } from '../../workflows/report-curves.ts';
import { span } from './text.ts';

export interface Scale {
  readonly from: number;
  readonly to: number;
  readonly ticks: readonly { readonly at: number; readonly text: string }[];
}

const fewTicks = 4;
/** Finer than that is noise, and below what a double can count. */
const leastStep = 1e-30;
const timeSteps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];

export function yScale({ unit, curves, limit }: Plot): Scale {
  const values = curves.flatMap(({ points }) => points.map(([, y]) => y));
  const low = Math.min(...values);
  const high = Math.max(limit ?? Number.NEGATIVE_INFINITY, ...values);
  if (unit === 'percent') return { from: 0, to: Math.max(100, high), ticks: [0, 25, 50, 75, 100].map((at) => ({ at, text: `${at} %` })) };
  if (unit === 'plain' && low === high) return { from: low, to: high, ticks: [{ at: low, text: String(Number(low.toPrecision(4))) }] }; // stands in the middle
  const fromZero = unit !== 'plain' || (low >= 0 && low < high / 2);
  return niceScale(fromZero ? 0 : low, high, label(unit));
}

export function xScale({ x, curves }: Plot, seconds: number): Scale {
  if (x === 'time') return timeScale(seconds);
  const values = curves.flatMap(({ points }) => points.map(([at]) => at));
  const scale = niceScale(Math.min(...values), Math.max(...values), label('plain'));
  const [from, to] = [Math.min(...values), Math.max(...values)];
  return { from, to, ticks: scale.ticks.filter(({ at }) => at >= from && at <= to) };
}

function timeScale(seconds: number): Scale {
  const to = Math.max(seconds, 1);
  const step = timeSteps.find((each) => to / each <= fewTicks + 1) ?? Math.ceil(to / fewTicks / 86_400) * 86_400;
  const ticks = Array.from({ length: Math.floor(to / step) + 1 }, (_, at) => ({ at: at * step, text: at === 0 ? '0' : span(at * step) }));
  return { from: 0, to, ticks };
}

function niceScale(low: number, high: number, text: (value: number, step: number) => string): Scale {
  const room = high > low ? high - low : Math.abs(high) || 1;
  const step = niceStep(Math.max(room / fewTicks, Math.abs(high) * 1e-9, Math.abs(low) * 1e-9, leastStep));
  const from = Math.floor(low / step) * step;
  const to = high > low ? Math.ceil(high / step - 1e-9) * step : from + step * fewTicks;
  const count = Math.min(20, Math.round((to - from) / step));
  return { from, to, ticks: Array.from({ length: count + 1 }, (_, at) => ({ at: from + at * step, text: text(from + at * step, step) })) };
}

/** 1, 2 or 5 times a power of ten, at least `least`. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return ([1, 2, 5].find((each) => each * power >= least * 0.999) ?? 10) * power;
}

function label(unit: Plot['unit']): (value: number, step: number) => string {
  switch (unit) {
    case 'bytes':
    case 'rate':
      return (value) => formatSize(value);
    case 'watts':
      return (value) => `${Math.round(value)} W`;
    case 'celsius':
      return (value) => `${Math.round(value)} °C`;
    default:
      return plainNumber;
  }
}

function plainNumber(value: number, step: number): string {
  if (Math.abs(value) < step / 2) return '0';
  if (Math.abs(value) >= 1e6 || Math.abs(step) < 1e-4) return value.toExponential(1).replace('e+', 'e');
  if (step >= 1000 && value % 1000 === 0) return value === 0 ? '0' : `${value / 1000}k`;
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return value.toFixed(Math.min(digits, 6));
}
