/** `sync --dry-run`: the document, which is complete, and the text, whose long lists are cut. */
import { homedir } from 'node:os';
import { relative, sep } from 'node:path';
import { formatSize } from '../../core/size.ts';
import type { Planned, SourcePreview } from '../../sync/dry-run.ts';
import type { Skipped, SkipReason } from '../../sync/skipped.ts';
import type { TrainPlan } from '../../workflows/plan-train.ts';
import type { SyncPreview } from '../../workflows/preview-sync.ts';
import { renderPlan, type View } from './machines.ts';
import { renderTable } from './table.ts';
import { harmless, plural } from './text.ts';

/** So many lines of a list are shown on the terminal, the biggest first. */
const shownAtMost = 15;

export function syncPreviewDocument({ machine, sources, fetch, surprises }: SyncPreview): object {
  return {
    dryRun: true,
    machine,
    total: sum(sources.flatMap(sentOf)),
    sources: sources.map(({ source, from, files, bytes, planned, gone, skipped }) => ({
      source,
      from,
      files,
      bytes,
      send: sentOf({ planned }).map(({ path, kind, bytes: size, how }) => ({ path, kind, bytes: size, why: whys[how] })),
      reuse: planned.filter(({ reused }) => reused).map(({ path, bytes: size, how }) => ({ path, bytes: size, why: whys[how] })),
      touch: pathsOf(planned, 'touch'),
      leaveAlone: pathsOf(planned, 'leave'),
      delete: pathsOf(gone, 'delete'),
      moveAside: [...pathsOf(planned, 'theirs'), ...pathsOf(gone, 'aside')],
      skip: skipped.map(({ reason, ...rest }) => ({ ...rest, rule: ruleOf(reason), why: whyOf(reason) })),
    })),
    fetch,
    surprises,
  };
}

const whys = { new: 'new', changed: 'changed', theirs: 'changed on the machine', touch: 'mode or time', leave: 'output' } as const;

export function renderSyncPreview(name: string, { machine, sources, fetch }: SyncPreview, view: View): string {
  const who = machine === null ? `No machine '${name}' is up. A first sync would` : `A sync to '${machine}' would`;
  const blocks = sources.map((source) => [...(sources.length === 1 ? [] : [view.style.bold(titleOf(source))]), ...blockOf(source, view)].join('\n'));
  const fetched = fetch.length === 0 ? [] : [['have the machine fetch', ...fetch.map(({ from, to }) => harmless(`  ${from} to ${to}`))].join('\n')];
  return [harmless(who), ...blocks, ...fetched, 'Nothing was sent or changed.'].join('\n\n');
}

/** `train --dry-run`. */
export function renderTrainPlan(name: string, plan: TrainPlan, view: View): string {
  const { files, bytes } = plan.sync;
  return [
    renderPlan(name, plan, view),
    `Code and data are ${plural(files, 'file')}, ${formatSize(bytes)}. What of it would be sent, and what is left out:`,
    `  gpu-run sync ${name} --dry-run`,
  ].join('\n');
}

function titleOf({ source, from }: SourcePreview): string {
  return harmless(source === 'code' ? `code, from ${from}` : `data ${source}, from ${from}`);
}

function blockOf({ from, files, bytes, planned, gone, skipped }: SourcePreview, { style, width }: View): string[] {
  const sent = sentOf({ planned });
  const { files: sentFiles, bytes: sentBytes } = sum(sent);
  const room = width - 2;
  const table = (rows: readonly (readonly string[])[], align: readonly ('left' | 'right')[]) =>
    renderTable(
      align.map((side) => ({ title: '', ...(side === 'right' ? { align: 'right' as const } : {}) })),
      rows,
      style,
      room,
    )
      .split('\n')
      .slice(1)
      .map((line) => `  ${line}`);
  const list = <T>(heading: string, items: readonly T[], row: (item: T) => readonly string[], align: readonly ('left' | 'right')[]): string[] => {
    if (items.length === 0) return [];
    const more = items.length - shownAtMost;
    return [heading, ...table(items.slice(0, shownAtMost).map(row), align), ...(more > 0 ? [style.dim(`  and ${more} more; --json lists all`)] : [])];
  };
  const paths = (heading: string, all: readonly string[]) => list(heading, all, (path) => [path], ['left']);
  const one = (count: number, noun: string) => (count === 1 ? `1 ${noun}` : `${count} ${noun}s`);
  const left = sum(skipped.map(({ files: some, bytes: size }) => ({ files: some, bytes: size })));
  return [
    ...(sent.length === 0
      ? [`send nothing: ${plural(files, 'file')}, ${formatSize(bytes)}, have their content there already`]
      : list(
          `send ${sentFiles === files ? '' : `${sentFiles} of `}${plural(files, 'file')}, ${formatSize(sentBytes)}${sentFiles === files ? '' : ` of ${formatSize(bytes)}`}`,
          biggestFirst(sent),
          ({ path, kind, bytes: size, how }) => [
            how === 'new' ? 'new' : 'changed',
            kind === 'file' ? formatSize(size) : '',
            kind === 'dir' ? `${path}/` : path,
          ],
          ['left', 'right', 'left'],
        )),
    ...paths(
      'take from what the machine has already, under other names',
      planned.filter(({ reused }) => reused).map(({ path }) => path),
    ),
    ...paths(`set mode or time of ${one(pathsOf(planned, 'touch').length, 'file')}`, pathsOf(planned, 'touch')),
    ...paths('delete on the machine, where earlier syncs placed it', pathsOf(gone, 'delete')),
    ...paths('move aside on the machine, where it was made or changed', [...pathsOf(planned, 'theirs'), ...pathsOf(gone, 'aside')]),
    ...paths('leave alone on the machine, as outputs of its jobs', pathsOf(planned, 'leave')),
    ...list(
      `skip ${plural(left.files, 'file')}, ${formatSize(left.bytes)}`,
      biggestFirst(skipped),
      (each) => [each.kind === 'folder' ? `${each.path}/` : each.path, countOf(each), sizeOf(each), reasonText(each.reason, from)],
      ['left', 'right', 'right', 'left'],
    ),
  ];
}

function sentOf({ planned }: Pick<SourcePreview, 'planned'>): Planned[] {
  return planned.filter(({ how, reused }) => !reused && how !== 'touch' && how !== 'leave');
}

function sum(items: readonly { readonly bytes: number; readonly files?: number; readonly kind?: string }[]): { files: number; bytes: number } {
  const files = items.reduce((count, item) => count + (item.files ?? (item.kind === 'file' ? 1 : 0)), 0);
  return { files, bytes: items.reduce((total, { bytes }) => total + bytes, 0) };
}

/** Of equal size, as they came. */
function biggestFirst<T extends { readonly bytes: number }>(items: readonly T[]): readonly T[] {
  return items.toSorted((a, b) => b.bytes - a.bytes);
}

function pathsOf<How extends string>(items: readonly { readonly path: string; readonly how: How }[], how: How): string[] {
  return items.filter((item) => item.how === how).map(({ path }) => path);
}

function countOf({ kind, files, atLeast }: Skipped): string {
  return kind === 'folder' ? `${plural(files, 'file')}${atLeast ? '+' : ''}` : '';
}

function sizeOf({ kind, bytes, atLeast }: Skipped): string {
  return kind === 'link' || kind === 'other' ? '' : `${formatSize(bytes)}${atLeast ? '+' : ''}`;
}

function reasonText(reason: SkipReason, from: string): string {
  if (reason.kind === 'built-in') return reason.text;
  return reason.file === null ? `sync.exclude: ${reason.pattern}` : `${shortPath(reason.file, from)}:${reason.line}: ${reason.pattern}`;
}

function ruleOf(reason: SkipReason): object | null {
  if (reason.kind === 'built-in') return null;
  return { file: reason.file, line: reason.file === null ? null : reason.line, pattern: reason.pattern };
}

function whyOf(reason: SkipReason): string {
  return reason.kind === 'built-in' ? reason.text : (reason.file ?? 'sync.exclude');
}

/** As seen from the code; what lies far from it, from the home folder. */
function shortPath(file: string, from: string): string {
  const near = relative(from, file);
  if (near.split(sep).filter((part) => part === '..').length <= 2) return near;
  const home = relative(homedir(), file);
  return home.startsWith('..') ? file : `~/${home}`;
}
