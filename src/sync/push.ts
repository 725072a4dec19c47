/**
 * Brings folders to the machine: what changed and nothing else. Scan, plan and transfer of each source; all sources are read
 * before anything is sent. May import core, protocol and `node:`.
 */
import { createHash } from 'node:crypto';
import type { PushParams, PushResult } from '../protocol/sync.ts';
import { loadBase, saveBase } from './base.ts';
import { changesSince } from './changes.ts';
import { type HeldFolders, heldFile, loadHeld, saveHeld } from './held.ts';
import { refuseNestedTargets, refuseOverlap, refuseUnreadable, workdirPath } from './plan.ts';
import type { ScanNotes, ScanOptions } from './scan.ts';
import { findSurprises, type Outgoing, type Surprise } from './surprise.ts';
import { toSyncError } from './sync-error.ts';
import { type Open, type TransferOptions, type Transferred, transfer } from './transfer.ts';
import { readTree, type Tree } from './tree.ts';

export interface PushTotals {
  /** In all sources, whether they travelled or not. */
  readonly files: number;
  readonly bytes: number;
  /** File content that travelled. */
  readonly sentBytes: number;
  readonly ms: number;
  /** The machine had everything already. */
  readonly unchanged: boolean;
  /** Sentences for people. */
  readonly warnings: readonly string[];
}

export interface PushOptions extends Partial<Pick<TransferOptions, 'signal'>> {
  readonly open: Open;
  /** Bytes of content of one source, which goes to `target`, relative to the workdir. One source after the other. */
  readonly onProgress?: (done: number, total: number, target: string) => void;
  /** Where hashes are remembered on this computer. */
  readonly cacheFolder: string;
  /** Which machine it is: then what it was left with is remembered. */
  readonly machine?: string;
  /** Relative to the workdir: what the machine makes or changes there is left alone. */
  readonly outputs: readonly string[];
  /** What of the code is surprisingly big; told before its content is sent. */
  readonly onSurprise?: (surprise: Surprise) => void;
  /** More pushes of these sources follow over this connection. Absent: false. */
  readonly live?: boolean;
}

/** What can be kept between pushes of the same sources. */
export interface LiveTrees {
  /** @throws as `readTree`; GpuRunError `sync` when something can't be read */
  prepare(spec: TreeSpec, cacheFolder: string, signal: AbortSignal): Promise<Prepared>;
}

export interface TreeSpec extends ScanOptions {
  /** What the source is called; absent: by its target. */
  readonly source?: string;
  /** Targets of other sources, relative to the workdir. */
  readonly others: readonly string[];
}

export interface ProjectSpec {
  /** Absolute. */
  readonly code: string;
  /** gitignore patterns on top of the ignore files. */
  readonly exclude: readonly string[];
  /** `from` absolute; `to` relative to the workdir. No ignore rules apply. */
  readonly data: readonly { readonly from: string; readonly to: string }[];
  /** Relative to the workdir: places of data that the machine fetches by itself. */
  readonly fetched?: readonly string[];
  readonly globalExcludes: string | null;
  /** Absolute paths that are never sent: gpu-run's own state. */
  readonly never: readonly string[];
}

export interface Prepared {
  readonly spec: TreeSpec;
  readonly tree: Tree;
  /** What was held of it before it was read. */
  readonly before: HeldFolders;
  readonly warnings: readonly string[];
}

/** Code and data of a project. @throws GpuRunError as `pushTree`, and `bad-input` when targets overlap; nothing is sent then */
export async function pushProject(project: ProjectSpec, options: PushOptions): Promise<PushTotals> {
  return pushPrepared(prepareProject(project, options.cacheFolder, options.signal ?? new AbortController().signal), options);
}

/** Reading of this computer's side; it goes on while a connection is made. Fails as `pushTree`, and that needs no handling. */
export type Preparing = Promise<readonly Prepared[]>;

/** `live`: trees that are watched from push to push; absent: each is walked. */
export function prepareProject(project: ProjectSpec, cacheFolder: string, signal: AbortSignal, live?: LiveTrees): Preparing {
  return prepareAll(async () => specsOf(project), cacheFolder, signal, live);
}

function prepareAll(specs: () => Promise<readonly TreeSpec[]>, cacheFolder: string, signal: AbortSignal, live?: LiveTrees): Preparing {
  const read = async () => {
    const prepared: Prepared[] = [];
    for (const spec of await specs())
      prepared.push(live === undefined ? await prepare(spec, cacheFolder, signal) : await prepareLive(spec, live, cacheFolder, signal));
    return prepared;
  };
  const all = read();
  all.catch(() => {}); // whoever awaits it hears of it
  return all;
}

/** Code first. @throws GpuRunError `bad-input` when targets overlap */
export function specsOf(project: ProjectSpec): readonly TreeSpec[] {
  const { never } = project;
  const data = project.data.map(({ from, to }) => ({ from, to: workdirPath(to, 'The data target') }));
  const targets = [...data.map(({ to }) => to), ...(project.fetched ?? []).map((to) => workdirPath(to, 'The data target'))];
  refuseNestedTargets(targets);
  const code: TreeSpec = { from: project.code, to: '', ignore: { exclude: project.exclude, globalExcludes: project.globalExcludes }, never, others: targets };
  return [code, ...data.map(({ from, to }): TreeSpec => ({ from, to, ignore: null, never, others: targets.filter((other) => other !== to) }))];
}

/**
 * One source to its place on the machine. Deletes there only what an earlier push of the same source placed.
 * @throws GpuRunError `bad-input`, `sync`, `disk-full`, `conflict` (another push of it is running), `connection`, `protocol`, `interrupted`
 */
export async function pushTree(spec: TreeSpec, options: PushOptions): Promise<PushTotals> {
  return pushPrepared(
    prepareAll(async () => [spec], options.cacheFolder, options.signal ?? new AbortController().signal),
    options,
  );
}

/** What `prepareProject` reads. @throws GpuRunError as `pushProject` */
export async function pushPrepared(preparing: Preparing, options: PushOptions): Promise<PushTotals> {
  const began = performance.now();
  const signal = options.signal ?? new AbortController().signal;
  const outputs = outputPaths(options.outputs);
  const prepared = await preparing;
  const warnings: string[] = [];
  let sentBytes = 0;
  let unchanged = true;
  for (const each of prepared) {
    const sent = await send(each, outputs, options, {
      signal,
      cacheFolder: options.cacheFolder,
      onProgress: (done, total) => options.onProgress?.(done, total, each.spec.to),
      onNeeded: (files) => tellSurprises(each.spec, files, options),
    });
    sentBytes += sent.sentBytes;
    unchanged &&= sent.result.unchanged;
    warnings.push(...each.warnings, ...warningsOf(sent), ...warningsOfMachine(sent.result));
  }
  const sum = (key: 'files' | 'bytes') => prepared.reduce((total, { tree }) => total + tree[key], 0);
  return { files: sum('files'), bytes: sum('bytes'), sentBytes, ms: performance.now() - began, unchanged, warnings };
}

/** By what changed since the machine was left, where that is known. */
async function send({ spec, tree, before }: Prepared, outputs: readonly string[], options: PushOptions, how: TransferOptions): Promise<Transferred> {
  const { open, cacheFolder, machine } = options;
  const file = machine === undefined ? null : heldFile(cacheFolder, `${spec.from}\0${spec.to}\0${machine}`);
  const base = file === null ? null : loadBase(file);
  const changes = base === null || base.digest === tree.digest ? null : changesSince(base, tree.folders, before);
  const params = { ...paramsOf(spec, tree.digest, outputs), base: changes === null ? null : (base?.digest ?? null), live: options.live === true };
  const sent = await transfer(open, params, { tree, changes }, how);
  if (file !== null && isExact(sent) && base?.digest !== tree.digest) saveBase(file, tree.digest, tree.folders);
  return sent;
}

/** Data that somebody has named in the config is meant. */
function tellSurprises({ ignore }: TreeSpec, files: Iterable<Outgoing>, { onSurprise }: PushOptions): void {
  if (ignore === null || onSurprise === undefined) return;
  for (const surprise of findSurprises(files)) onSurprise(surprise);
}

/** @throws GpuRunError `bad-input` for one that is not in the workdir */
export function outputPaths(outputs: readonly string[]): readonly string[] {
  return outputs.map((output) => workdirPath(output, 'The output'));
}

/** `outputs`: as `outputPaths` gives them. */
export function paramsOf(spec: TreeSpec, digest: string, outputs: readonly string[]): PushParams {
  return { source: spec.source ?? sourceName(spec.to), digest, base: null, others: spec.others, outputs, live: false };
}

async function prepareLive(spec: TreeSpec, live: LiveTrees, cacheFolder: string, signal: AbortSignal): Promise<Prepared> {
  try {
    const prepared = await live.prepare(spec, cacheFolder, signal);
    if (spec.to === '') refuseOverlap(prepared.tree.entries(), spec.others);
    return prepared;
  } catch (error) {
    throw toSyncError(error, signal);
  }
}

/** Reads this computer's side. @throws GpuRunError as `pushTree` */
export async function prepare(spec: TreeSpec, cacheFolder: string, signal: AbortSignal): Promise<Prepared> {
  const file = heldFile(cacheFolder, sourceKey(spec));
  const notes: ScanNotes = { unreadable: [], warnings: [] };
  try {
    const held = loadHeld(file);
    const tree = await readTree(spec, held.folders, notes, signal);
    refuseUnreadable(notes.unreadable);
    if (spec.to === '') refuseOverlap(tree.entries(), spec.others);
    saveHeld(file, held, tree.folders);
    return { spec, tree, before: held.folders, warnings: notes.warnings };
  } catch (error) {
    throw toSyncError(error, signal);
  }
}

/** What was announced is what the machine has now. */
function isExact({ result, torn, gone }: Transferred): boolean {
  return torn.length === 0 && gone.length === 0 && result.leftAloneCount === 0;
}

/** What tells it from others in the cache. */
export function sourceKey({ from, to }: ScanOptions): string {
  return `${from}\0${to}`;
}

/** What the source of a push is called, by its target. */
export function sourceName(to: string): string {
  return to === '' ? 'code' : `data-${createHash('sha256').update(to).digest('hex').slice(0, 16)}`;
}

function warningsOf({ torn, gone }: Transferred): string[] {
  return [
    ...torn.map((path) => `${path} was being written to while it was sent: the machine may have parts of different ages`),
    ...gone.map((path) => `${path} vanished before it could be sent`),
  ];
}

/** So many paths are named; the others are counted. */
const namedAtMost = 5;

function warningsOfMachine({ kept, keptCount, keptIn, keptBefore, leftAlone, leftAloneCount }: PushResult): string[] {
  const namedKept = kept.slice(0, namedAtMost);
  const namedLeft = leftAlone.slice(0, namedAtMost);
  const moreKept = keptCount - namedKept.length;
  const moreLeft = leftAloneCount - namedLeft.length;
  return [
    ...keptBefore.map((folder) => `what was made or changed on the machine was moved to ${folder} there by an earlier push that was cut`),
    ...namedKept.map(({ path, to }) => `${path} was made or changed on the machine; its version there was moved to ${to}`),
    ...(moreKept > 0 ? [`${moreKept} more were made or changed on the machine; all are in ${keptIn} there`] : []),
    ...namedLeft.map((path) => `${path} is an output and differs on the machine; it was left as it is there`),
    ...(moreLeft > 0 ? [`${moreLeft} more are outputs and differ on the machine; they were left as they are there`] : []),
  ];
}
