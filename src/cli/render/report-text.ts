/** A job's report for the terminal, and the lines that `train` shows after a job. */
import { formatUsd } from '../../core/money.ts';
import { formatSize } from '../../core/size.ts';
import type { Advice, GpuFigures, JobReport } from '../../workflows/report-figures.ts';
import { isMeasure, lossFirst } from '../../workflows/report-training.ts';
import { perCent, percent } from '../../workflows/report-words.ts';
import { endLine } from './job-view.ts';
import type { View } from './machines.ts';
import { warningLine } from './sentence.ts';
import type { Style } from './style.ts';
import { renderTable } from './table.ts';
import { harmless, plural, span, wrap } from './text.ts';

const labelWidth = 'checkpoints  '.length;

export function renderReport(report: JobReport, { style, width }: View): string {
  const { job, machine, gpus, advice, warnings, unknown, cost } = report;
  return [
    ...wrap(endLine(job, machine.provider, cost.usd), width).map(style.bold),
    ...(gpus.length === 0 ? [] : ['', gpuTable(gpus, style, width)]),
    '',
    ...factLines(report).flatMap(([label, text]) => labelled(label, text, width)),
    ...(advice.length === 0 ? [] : ['', ...advice.flatMap((each) => adviceLines(each, style, width))]),
    ...(warnings.length === 0 ? [] : ['', ...warnings.map((text) => warningLine(harmless(text), style, width))]),
    ...(unknown.length === 0 ? [] : ['', ...unknown.flatMap((text) => wrap(`Not known: ${harmless(text)}`, width)).map(style.dim)]),
  ].join('\n');
}

/** Label and text. */
export function factLines(report: JobReport): Line[] {
  return [hostLine(report), timeLine(report), trainingLine(report), checkpointLine(report), costLine(report)].filter((line) => line !== null);
}

function gpuTable(gpus: readonly GpuFigures[], style: Style, width: number): string {
  const right = (title: string, spare?: number) => ({ title, align: 'right', ...(spare === undefined ? {} : { spare }) }) as const;
  const columns = [{ title: 'GPU' }, right('BUSY'), right('MEDIAN', 2), right('IDLE'), right('MEMORY PEAK'), right('POWER', 3), right('MAX °C', 1)];
  const rows = gpus.map((gpu) => [
    `${gpu.index} ${gpu.name}`,
    orDash(gpu.utilizationMean, perCent),
    orDash(gpu.utilizationP50, perCent),
    orDash(gpu.idleShare, percent),
    memoryOf(gpu),
    gpu.powerMeanWatts === null ? '-' : `${Math.round(gpu.powerMeanWatts)}${gpu.powerLimitWatts === null ? '' : ` of ${Math.round(gpu.powerLimitWatts)}`} W`,
    orDash(gpu.temperatureMaxC, (value) => String(Math.round(value))),
  ]);
  return renderTable(columns, rows, style, width);
}

function orDash(value: number | null, text: (value: number) => string): string {
  return value === null ? '-' : text(value);
}

function memoryOf({ memoryPeakBytes, memoryTotalBytes }: Pick<GpuFigures, 'memoryPeakBytes' | 'memoryTotalBytes'>): string {
  if (memoryPeakBytes === null) return '-';
  return memoryTotalBytes === null ? formatSize(memoryPeakBytes) : `${formatSize(memoryPeakBytes)} of ${formatSize(memoryTotalBytes)}`;
}

type Line = readonly [label: string, text: string];

function hostLine({ host }: JobReport): Line | null {
  if (host === null) return null;
  const cpu = host.cpuMean === null ? plural(host.cpus, 'CPU') : `${plural(host.cpus, 'CPU')} at ${perCent(host.cpuMean)}`;
  return [
    'host',
    [
      host.busiestCpuMean === null ? cpu : `${cpu} (the busiest ${perCent(host.busiestCpuMean)})`,
      ...(host.memoryPeakBytes === null ? [] : [`memory ${memoryOf(host)}`]),
      ...(host.diskReadBytes === null ? [] : [`disk read ${formatSize(host.diskReadBytes)}, written ${formatSize(host.diskWriteBytes ?? 0)}`]),
      ...(host.netReceivedBytes === null ? [] : [`net in ${formatSize(host.netReceivedBytes)}, out ${formatSize(host.netSentBytes ?? 0)}`]),
    ].join(', '),
  ];
}

function timeLine({ times, attempts }: JobReport): Line {
  const { startUp, sync, queue, setup, run, between, longestSilence } = times;
  const part = (name: string, seconds: number | null) => (seconds === null || seconds < 0.5 ? [] : [`${name} ${span(seconds)}`]);
  const parts = [
    ...part('machine', startUp),
    ...part('sync', sync),
    ...part('queue', queue),
    ...part('setup', setup),
    `run ${span(run)}`,
    ...part('between attempts', between),
  ];
  const more = [
    ...(attempts > 1 ? [`${attempts} attempts`] : []),
    ...(longestSilence === null || longestSilence < 1 ? [] : [`longest silence ${span(longestSilence)}`]),
  ];
  return ['time', [...parts, ...more].join(', ')];
}

/** How the job learns, and not how well. */
const notResults = /^(?:rate|lr|learning_rate|grad_norm)$/i;
const mostValues = 3;

function trainingLine({ training, cost }: JobReport): Line | null {
  const { stepsPerSecond, lastStep, secondsPerEpoch, lastEpoch, last } = training;
  const values = Object.entries(last)
    .filter(([name]) => isMeasure(name) && !notResults.test(name))
    .sort(([a], [b]) => lossFirst(a, b));
  const perEpoch = cost.perEpochUsd === null || cost.pricePerHour === 0 ? '' : ` and ${formatUsd(cost.perEpochUsd)}`;
  const parts = [
    ...(stepsPerSecond === null ? [] : [`${rate(stepsPerSecond)}${lastStep === null ? '' : ` (up to step ${round(lastStep)})`}`]),
    ...(secondsPerEpoch === null ? [] : [`${shortTime(secondsPerEpoch)}${perEpoch} an epoch${lastEpoch === null ? '' : ` (up to ${round(lastEpoch)})`}`]),
    ...values.slice(0, mostValues).map(([name, value], at) => `${at === 0 ? 'last ' : ''}${name} ${Number(value.toPrecision(4))}`),
  ];
  return parts.length === 0 ? null : ['training', parts.join(', ')];
}

/** `3.2 steps/s`; of slow ones `12 s a step`. */
export function rate(stepsPerSecond: number): string {
  return stepsPerSecond >= 1 ? `${round(stepsPerSecond)} steps/s` : `${round(1 / stepsPerSecond)} s a step`;
}

function shortTime(seconds: number): string {
  return seconds < 60 ? `${round(seconds)} s` : span(seconds);
}

/** Three digits that count. */
export function round(value: number): string {
  return String(Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3)));
}

function checkpointLine({ checkpoints }: JobReport): Line | null {
  const { count, bytes, shareOfRun, interval } = checkpoints;
  if (count === 0) return null;
  const every = interval === null ? '' : `, one every ${shortTime(interval)}`;
  const share = shareOfRun === null ? '' : `, writing them ${percent(shareOfRun)} of the time`;
  return ['checkpoints', `${count}, ${formatSize(bytes)} in all${every}${share}`];
}

function costLine({ cost }: JobReport): Line | null {
  if (cost.pricePerHour === 0) return null;
  const idle = cost.idleUsd === null ? '' : `, ${formatUsd(cost.idleUsd)} of it with an idle GPU`;
  return ['cost', `${formatUsd(cost.usd)} at ${formatUsd(cost.pricePerHour)} an hour${idle}`];
}

function labelled(label: string, text: string, width: number): string[] {
  return wrap(harmless(text), width - labelWidth).map((line, at) => `${(at === 0 ? label : '').padEnd(labelWidth)}${line}`);
}

function adviceLines({ level, text, evidence, actions }: Advice, style: Style, width: number): string[] {
  const mark = level === 'warn' ? style.yellow('!') : '*';
  return [
    ...wrap(harmless(text), width - 2).map((line, at) => `${at === 0 ? mark : ' '} ${style.bold(line)}`),
    ...wrap(harmless(evidence), width - 2).map((line) => `  ${style.dim(line)}`),
    ...actions.flatMap((action) => wrap(harmless(action), width - 5).map((line, at) => `  ${at === 0 ? '->' : '  '} ${line}`)),
  ];
}

/** At most four lines; none when there is nothing to say. Of a job without GPUs only what is worth a change. */
export function summaryLines(report: JobReport): string[] {
  const { job, gpus, advice, cost, times } = report;
  const worth = advice.filter(({ level }) => gpus.length > 0 || level === 'warn');
  if ((gpus.length === 0 || times.watched < 1) && worth.length === 0) return [];
  const shown = worth.slice(0, 2).map(({ text, actions: [first] }) => harmless(`${text}${first === undefined ? '' : ` -> ${first}`}`));
  const idle = cost.idleUsd === null || cost.idleUsd < 0.005 ? '' : `; ${formatUsd(cost.idleUsd)} went on idle GPUs`;
  const [first] = gpus;
  const many = gpus.length === 1 ? `GPU (${first?.name})` : `${gpus.length} GPUs`;
  const mean = average(gpus.map(({ utilizationMean }) => utilizationMean));
  const peak = gpus.reduce<GpuFigures | null>((most, gpu) => ((gpu.memoryPeakBytes ?? -1) > (most?.memoryPeakBytes ?? -1) ? gpu : most), null);
  const memory = peak === null ? '' : `, memory ${memoryOf(peak)}`;
  const gpuLine = gpus.length === 0 ? [] : [harmless(`${many}: ${mean === null ? 'use not known' : `${perCent(mean)} busy`}${memory}${idle}`)];
  return [...gpuLine, ...shown, ...(worth.length > 0 ? [`gpu-run report ${job.id}   tells more`] : [])];
}

function average(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
}
