/** A job's report as one page that needs nothing else: no network, no script. */
import { formatUsd } from '../../core/money.ts';
import { formatSize } from '../../core/size.ts';
import { curvesOf, type Mark, type Plot } from '../../workflows/report-curves.ts';
import type { Advice, GpuFigures, JobReport } from '../../workflows/report-figures.ts';
import { perCent, percent } from '../../workflows/report-words.ts';
import { endLine } from './job-view.ts';
import { renderChart } from './report-chart.ts';
import { reportCss } from './report-css.ts';
import { escaped } from './report-escape.ts';
import { factLines, rate } from './report-text.ts';
import { moment, plural, span } from './text.ts';

/** What every such page begins with. */
export const pageMark = '<!doctype html><!-- gpu-run report -->';

/** @param now milliseconds since the epoch */
export function renderPage(report: JobReport, now: number): string {
  const { job, machine, advice, gpus } = report;
  const { machine: plots, metrics, marks, seconds } = curvesOf(report.records);
  const { provider, zone, type, gpu } = machine.offer;
  const where = [machine.name, zone === null ? provider : `${provider} ${zone}`, type, ...(gpu === null ? [] : [`${gpu.name}:${gpu.count}`])].join(', ');
  return [
    `${pageMark}\n<html lang="en"><head><meta charset="utf-8"><title>${escaped(job.id)}</title>`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`,
    `<style>${reportCss}</style></head><body>`,
    `<header><h1>${escaped(job.id)}</h1><p>${escaped(endLine(job).slice(job.id.length + 1))}</p><p class="soft">${escaped(where)}</p>`,
    `<code>${escaped(job.command)}</code></header>`,
    `<div class="tiles">${tiles(report).join('')}</div>`,
    part('What to do', advice.length === 0 ? '' : `<div class="advice">${advice.map(adviceCard).join('')}</div>`),
    part('Training', charts(metrics, marks, seconds)),
    part('Machine', charts(plots, marks, seconds)),
    part('GPUs', gpus.length === 0 ? '' : gpuTable(gpus)),
    part(
      'Figures',
      `<dl>${factLines(report)
        .map(([label, text]) => `<dt>${escaped(label)}</dt><dd>${escaped(text)}</dd>`)
        .join('')}</dl>`,
    ),
    part('Warnings', report.warnings.map((text) => `<p>${escaped(text)}</p>`).join('')),
    part('Not known', report.unknown.map((text) => `<p class="soft">${escaped(text)}</p>`).join('')),
    `<footer>${escaped(`Written by gpu-run on ${moment(now)}${report.asOf === null ? '' : `; the newest record is from ${moment(report.asOf)}`}.`)}</footer>`,
    '</body></html>\n',
  ].join('\n');
}

function part(title: string, body: string): string {
  return body === '' ? '' : `<h2>${title}</h2>${body}`;
}

function tiles({ gpus, training, cost, times, attempts }: JobReport): string[] {
  const tile = (label: string, value: string | null) => (value === null ? [] : [`<div><b>${escaped(value)}</b><span>${escaped(label)}</span></div>`]);
  const busy = gpus.flatMap(({ utilizationMean }) => (utilizationMean === null ? [] : [utilizationMean]));
  const peak = gpus.reduce<GpuFigures | null>((most, gpu) => ((gpu.memoryPeakBytes ?? -1) > (most?.memoryPeakBytes ?? -1) ? gpu : most), null);
  return [
    ...tile(
      gpus.length > 1 ? `busy, mean of ${gpus.length} GPUs` : 'GPU busy',
      busy.length === 0 ? null : perCent(busy.reduce((sum, each) => sum + each, 0) / busy.length),
    ),
    ...tile(
      peak?.memoryTotalBytes == null ? 'GPU memory, peak' : `GPU memory, peak of ${formatSize(peak.memoryTotalBytes)}`,
      peak?.memoryPeakBytes == null ? null : formatSize(peak.memoryPeakBytes),
    ),
    ...tile('speed', training.stepsPerSecond === null ? null : rate(training.stepsPerSecond)),
    ...tile('an epoch', cost.perEpochUsd === null || cost.pricePerHour === 0 ? null : formatUsd(cost.perEpochUsd)),
    ...tile(attempts > 1 ? `run, ${plural(attempts, 'attempt')}` : 'run', span(times.run)),
    ...tile('in all', cost.pricePerHour === 0 ? null : formatUsd(cost.usd)),
    ...tile('with an idle GPU', cost.idleUsd === null || cost.pricePerHour === 0 ? null : formatUsd(cost.idleUsd)),
  ];
}

function adviceCard({ level, text, evidence, actions }: Advice): string {
  const list = actions.map((action) => `<li>${escaped(action)}</li>`).join('');
  return `<section class="${level}"><h3>${escaped(text)}</h3><p>${escaped(evidence)}</p><ul>${list}</ul></section>`;
}

function charts(plots: readonly Plot[], marks: readonly Mark[], seconds: number): string {
  if (plots.length === 0) return '';
  const keys = [
    ...(marks.some(({ kind }) => kind === 'checkpoint') ? ['▲ a checkpoint'] : []),
    ...(marks.some(({ kind }) => kind === 'attempt') ? ['┊ a new attempt'] : []),
    ...(plots.some(({ limit, unit }) => limit !== null && unit !== 'percent') ? ['⋯ what there is'] : []),
  ];
  return `${keys.length === 0 ? '' : `<p class="soft marks">${keys.join(' &nbsp; ')}</p>`}<div class="plots">${plots.map((plot) => renderChart(plot, marks, seconds)).join('')}</div>`;
}

function gpuTable(gpus: readonly GpuFigures[]): string {
  const cell = (value: number | null, text: (value: number) => string) => `<td class="n">${value === null ? '–' : escaped(text(value))}</td>`;
  const heads = ['busy', 'median', 'idle', 'memory, mean', 'peak', 'of', 'power', 'limit', 'max °C', 'waited for data'];
  const rows = gpus.map((gpu) =>
    [
      `<tr><td>${gpu.index} ${escaped(gpu.name)}</td>`,
      cell(gpu.utilizationMean, perCent),
      cell(gpu.utilizationP50, perCent),
      cell(gpu.idleShare, percent),
      ...[gpu.memoryMeanBytes, gpu.memoryPeakBytes, gpu.memoryTotalBytes].map((bytes) => cell(bytes, formatSize)),
      ...[gpu.powerMeanWatts, gpu.powerLimitWatts].map((watts) => cell(watts, (value) => `${Math.round(value)} W`)),
      cell(gpu.temperatureMaxC, (value) => String(Math.round(value))),
      cell(gpu.starvedShare, percent),
      '</tr>',
    ].join(''),
  );
  return `<div class="wide"><table><tr><th></th>${heads.map((head) => `<th class="n">${head}</th>`).join('')}</tr>${rows.join('')}</table></div>`;
}
