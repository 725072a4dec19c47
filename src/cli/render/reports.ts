/** What the smaller commands print at their end. */
import type { TemplateInfo } from '../../config/template.ts';
import { formatUsd } from '../../core/money.ts';
import { formatSize } from '../../core/size.ts';
import type { Check } from '../../workflows/doctor.ts';
import type { DownResult } from '../../workflows/down.ts';
import type { SyncTotals } from '../../workflows/push-once.ts';
import type { ReapResult } from '../../workflows/reap.ts';
import type { Pushed } from '../../workflows/watch-sync.ts';
import { isoTime } from './documents.ts';
import type { View } from './machines.ts';
import { hintLines } from './sentence.ts';
import { renderTable } from './table.ts';
import { harmless, plural, wrap } from './text.ts';

export function renderDown({ machines }: DownResult): string {
  if (machines.length === 0) return 'Nothing was up.';
  return machines.map(({ name, state, costUsd }) => harmless(`${name} is ${state} (cost ${formatUsd(costUsd)})`)).join('\n');
}

export function renderReap({ found, ended, kept, unreachable, notSetUp }: ReapResult, dryRun: boolean): string {
  const lines = [
    ...ended.map(({ provider, name, id, why }) => `${dryRun ? 'would end' : 'ended'}  ${name} (${provider} ${id}): ${why}`),
    ...kept.map(({ provider, name, id, why }) => `kept  ${name} (${provider} ${id}): ${why}`),
    ...unreachable.map(({ provider, message }) => `not asked  ${provider}: ${message}`),
  ];
  const notAsked = notSetUp.map((provider) => `${provider} was not asked: no credentials and no project are set up here.`);
  const nothing = found.length === 0 && lines.length === 0 ? ['Nothing of ours was found.'] : [];
  return [...lines.map(harmless), ...nothing, ...notAsked].join('\n');
}

export function renderChecks(checks: readonly Check[], { style, width }: Pick<View, 'style' | 'width'>): string {
  const marks = { ok: style.green('ok  '), warn: style.yellow('warn'), fail: style.red('FAIL') } as const;
  return checks
    .flatMap(({ name, outcome, text, hints }) => [
      ...wrap(harmless(`${name}: ${text}`), width - 6).map((line, index) => `${index === 0 ? marks[outcome] : '    '}  ${line}`),
      ...hints.flatMap((hint) => hintLines(hint, width - 9).map((line, index) => `${index === 0 ? '      -> ' : '         '}${line}`)),
    ])
    .join('\n');
}

export function renderTemplates(templates: readonly TemplateInfo[], { style, width }: View): string {
  if (templates.length === 0) return 'There are no templates.';
  const columns = [{ title: 'TEMPLATE' }, { title: 'PROVIDER' }, { title: 'FROM' }, { title: 'DESCRIPTION' }] as const;
  const rows = templates.map(({ name, providers, source, description, problem }) => [
    name,
    providers.join(', ') || 'any',
    source,
    problem === null ? (description ?? '') : `not in order: ${problem}`,
  ]);
  return renderTable(columns, rows, style, width);
}

/** `12 files, 3.4MB; sent 1.2MB in 0.8s`, and behind it `by rsync` where there is no runner, and what the machine has fetched. */
export function renderSync({ files, bytes, sentBytes, ms, via, fetchedBytes }: SyncTotals): string {
  const fetched = fetchedBytes === undefined ? '' : `; the machine has fetched ${formatSize(fetchedBytes)} by itself`;
  const sent = `${plural(files, 'file')}, ${formatSize(bytes)}; sent ${formatSize(sentBytes)} in ${(ms / 1000).toFixed(1)}s`;
  return `${sent}${via === undefined ? '' : ` by ${via}`}${fetched}`;
}

/** One line a push of `sync --watch`; the time is this computer's own. */
export function pushedLine({ at, files, sentBytes, ms }: Pushed): string {
  const time = new Date(at).toTimeString().slice(0, 8);
  return `${time}  ${plural(files, 'file')}; sent ${formatSize(sentBytes)} in ${ms < 1_000 ? `${Math.round(ms)}ms` : `${(ms / 1000).toFixed(1)}s`}`;
}

export function pushedDocument({ at, files, bytes, sentBytes, ms }: Pushed): object {
  return { type: 'sync', at: isoTime(at), files, bytes, sentBytes, ms };
}
