/**
 * What a push would do, source by source: what would be sent, deleted and skipped, and why. Changes nothing on either side, but for the
 * hashes that it remembers. May import core, protocol and `node:`.
 */
import { FrameError } from '../protocol/frame.ts';
import type { OpenCall } from '../protocol/peer.ts';
import { type Entry, inParts, type PushSay } from '../protocol/sync.ts';
import { parseFields, parseList, parseNumber, parsePath } from '../protocol/sync-parse.ts';
import type { GoneHow, PreviewHow } from '../protocol/sync-preview.ts';
import { refuseOverlap, refuseUnreadable } from './plan.ts';
import { outputPaths, type ProjectSpec, paramsOf, prepare, specsOf, type TreeSpec } from './push.ts';
import { type Found, scan } from './scan.ts';
import { listSkipped, type Skipped } from './skipped.ts';
import { inCall, type Open } from './transfer.ts';

export interface Planned {
  /** Relative to the workdir. */
  readonly path: string;
  readonly kind: Entry['kind'];
  /** Of a file. */
  readonly bytes: number;
  readonly how: PreviewHow;
  /** The machine has the content elsewhere: it would not be sent. */
  readonly reused: boolean;
}

export interface SourcePreview {
  /** `code`, or the data's place relative to the workdir. */
  readonly source: string;
  /** Absolute. */
  readonly from: string;
  readonly files: number;
  readonly bytes: number;
  readonly planned: readonly Planned[];
  readonly gone: readonly { readonly path: string; readonly how: GoneHow }[];
  readonly skipped: readonly Skipped[];
  /** Sentences for people. */
  readonly warnings: readonly string[];
}

export interface PreviewOptions {
  /** null: there is no machine, so all of it would be sent. Then no content is read. */
  readonly open: Open | null;
  readonly cacheFolder: string;
  readonly outputs: readonly string[];
  /** Absent: true. */
  readonly listSkipped?: boolean;
  readonly signal: AbortSignal;
}

/** @throws GpuRunError as `pushProject` */
export async function previewProject(project: ProjectSpec, options: PreviewOptions): Promise<readonly SourcePreview[]> {
  const outputs = outputPaths(options.outputs);
  const previews: SourcePreview[] = [];
  for (const spec of specsOf(project)) previews.push(await previewTree(spec, { ...options, outputs }));
  return previews;
}

async function previewTree(spec: TreeSpec, options: PreviewOptions): Promise<SourcePreview> {
  const { found, planned, gone, warnings } = options.open === null ? firstPush(spec) : await askMachine(spec, options.open, options);
  const skipped = options.listSkipped === false ? [] : await listSkipped(spec, options.signal);
  const files = found.filter((each) => each.kind === 'file');
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  return { source: spec.to === '' ? 'code' : spec.to, from: spec.from, files: files.length, bytes, planned, gone, skipped, warnings };
}

type Answer = Pick<SourcePreview, 'planned' | 'gone' | 'warnings'> & { readonly found: readonly (Found | Entry)[] };

function firstPush(spec: TreeSpec): Answer {
  const scanned = scan(spec);
  refuseUnreadable(scanned.unreadable);
  if (spec.to === '') refuseOverlap(scanned.found, spec.others);
  return { found: scanned.found, planned: scanned.found.map((found) => toPlanned(found, 'new')), gone: [], warnings: scanned.warnings };
}

interface Told {
  readonly planned: Planned[];
  readonly reused: Set<string>;
  readonly gone: { readonly path: string; readonly how: GoneHow }[];
}

async function askMachine(spec: TreeSpec, open: Open, { cacheFolder, outputs, signal }: PreviewOptions): Promise<Answer> {
  const { tree, warnings } = await prepare(spec, cacheFolder, signal);
  const entries = [...tree.entries()];
  const told: Told = { planned: [], reused: new Set(), gone: [] };
  await inCall(open('preview', paramsOf(spec, tree.digest, outputs)), signal, async (call) => {
    for await (const part of call.parts()) {
      if (part.kind !== 'event') throw new FrameError('the machine sends content where none was asked for');
      const fields = parseFields(part.value);
      if (fields['type'] === 'manifest') await sendEntries(call, entries);
      else take(fields, entries, told);
    }
    await call.result;
  });
  const planned = told.planned.map((each) => (told.reused.has(each.path) ? { ...each, reused: true } : each));
  return { found: entries, planned: planned.sort(byPath), gone: told.gone.sort(byPath), warnings };
}

async function sendEntries(call: OpenCall, entries: readonly Entry[]): Promise<void> {
  for (const some of inParts(entries)) await call.event({ type: 'entries', entries: some } satisfies PushSay);
  await call.event({ type: 'entries-end' } satisfies PushSay);
  await call.end();
}

function take(fields: Readonly<Record<string, unknown>>, entries: readonly Entry[], { planned, reused, gone }: Told): void {
  if (fields['type'] === 'place') planned.push(...parseList(fields['items'], (item) => parsePlanned(item, entries)));
  else if (fields['type'] === 'reuse') for (const index of parseList(fields['indices'], (value) => parseNumber(value))) reused.add(entries[index]?.path ?? '');
  else gone.push(...parseList(fields['items'], parseGone));
}

function byPath(a: { readonly path: string }, b: { readonly path: string }): number {
  return a.path < b.path ? -1 : 1;
}

function toPlanned(found: Found | Entry, how: PreviewHow): Planned {
  return { path: found.path, kind: found.kind, bytes: found.kind === 'file' ? found.size : 0, how, reused: false };
}

function parsePlanned(item: unknown, entries: readonly Entry[]): Planned {
  const [index, how] = parseList(item, (value) => value);
  const entry = entries[parseNumber(index, entries.length)];
  if (entry === undefined || !isOneOf(how, ['new', 'changed', 'theirs', 'touch', 'leave'] as const))
    throw new FrameError('the machine plans with a file that is not in the manifest');
  return toPlanned(entry, how);
}

function parseGone(item: unknown): { path: string; how: GoneHow } {
  const [path, how] = parseList(item, (value) => value);
  if (!isOneOf(how, ['delete', 'aside'] as const)) throw new FrameError('the machine plans with a file in a way that is not known');
  return { path: parsePath(path), how };
}

function isOneOf<T>(value: unknown, all: readonly T[]): value is T {
  return (all as readonly unknown[]).includes(value);
}
