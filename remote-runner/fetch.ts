/**
 * The machine's end of `fetch`: data comes to it straight from where it is, not through anybody's laptop. Order of work: locks, what is
 * wanted no longer goes, questions to the servers, a look at the free space, content into parts, each part whole into its place,
 * records. May import protocol and `node:`.
 */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type FetchParams, type FetchProgress, type FetchResult, parseFetchParams } from '../src/protocol/fetch.ts';
import { FrameError } from '../src/protocol/frame.ts';
import type { Call } from '../src/protocol/peer.ts';
import { download, type Fetching, realSleep } from './fetch-download.ts';
import { forgetMark, openPart } from './fetch-part.ts';
import { type PlacingSource, place, removeUnwanted } from './fetch-place.ts';
import { type FetchItem, type FetchPlan, planSource } from './fetch-plan.ts';
import { fetchFolder, loadRecord, saveRecord } from './fetch-record.ts';
import { refuseIfFull } from './fetch-space.ts';
import { openWeb, type WebOptions } from './fetch-web.ts';
import { RunnerError } from './runner-error.ts';
import { errorCode, openWorkdir, toFailure } from './sync-disk.ts';
import { takeLock } from './sync-lock.ts';

export interface FetchSeams extends WebOptions {
  /** `/`, or a tree that looks like it. */
  readonly systemRoot: string;
  readonly sleep: Fetching['sleep'];
}

/** How long a fetch waits for another one of the same place. */
const lockWaitMs = 10_000;
const atOnce = 6;
const tellEveryMs = 200;
const saveEveryMs = 2_000;
const warnedAtMost = 100;

export async function fetchData(call: Call, machine: { readonly root: string; readonly workdir: string }, seams?: Partial<FetchSeams>): Promise<FetchResult> {
  const locks: { release(): void }[] = [];
  const all: FetchSeams = { env: process.env, systemRoot: '/', sleep: realSleep, ...seams };
  try {
    const params = parseFetchParams(call.params);
    for (const to of [...params.sources.map(({ to }) => to), ...params.gone].sort())
      locks.push(await takeLock(join(fetchFolder(machine.root, to), 'lock'), lockWaitMs, call.signal));
    return await fetchAll(call, params, machine, all);
  } catch (error) {
    throw error instanceof FrameError ? new RunnerError('protocol', error.message) : toFailure(error);
  } finally {
    for (const lock of locks) lock.release();
  }
}

async function fetchAll(
  call: Call,
  params: FetchParams,
  machine: { readonly root: string; readonly workdir: string },
  seams: FetchSeams,
): Promise<FetchResult> {
  mkdirSync(machine.workdir, { recursive: true, mode: 0o700 });
  const warnings: string[] = [];
  const over = new AbortController();
  const signal = AbortSignal.any([call.signal, over.signal]);
  const web = await openWeb(seams);
  const sourceAt = (to: string): PlacingSource => {
    const folder = fetchFolder(machine.root, to);
    const aside = join(machine.root, 'kept', `${new Date().toISOString().replaceAll(':', '-')}-fetch-${basename(folder)}`);
    const warn = (text: string) => void warnings.push(text);
    return { folder, record: loadRecord(folder), workdir: openWorkdir(machine.workdir), outputs: params.outputs, aside, warn, signal };
  };
  try {
    for (const to of params.gone) await removeGone(sourceAt(to));
    const progress = createProgress(call);
    const fetching: Fetching = { web, signal, sleep: seams.sleep, onBytes: progress.add };
    const plans: FetchPlan[] = [];
    for (const source of params.sources) {
      const placing = sourceAt(source.to);
      mkdirSync(partsOf(placing), { recursive: true, mode: 0o700 });
      const plan = await planSource(source, placing, partsOf(placing), fetching, { ...fetching, env: seams.env, root: seams.systemRoot });
      dropStrayParts(partsOf(placing), plan.items);
      plans.push(plan);
    }
    const items = plans.flatMap((plan) => plan.items);
    const total = items.every(({ remote }) => remote.size !== null) ? items.reduce((sum, { remote }) => sum + (remote.size ?? 0), 0) : null;
    const toCome = items.reduce((sum, { remote, partBytes }) => sum + Math.max(0, (remote.size ?? 0) - partBytes), 0);
    if (items.length > 0) refuseIfFull({ bytes: toCome, files: items.length }, join(machine.root, 'sync'), machine.workdir);
    progress.begin(total);
    const saver = createSaver(plans.map(({ source }) => source));
    try {
      await inTurns(items, atOnce, over, async (item) => {
        await fetchItem(item, fetching, progress.found);
        saver.placed(item);
      });
      for (const { source, wanted } of plans) await removeUnwanted(wanted, source);
    } finally {
      saver.save();
    }
    return resultOf(plans, progress.fetched, warnings);
  } finally {
    web.close();
  }
}

async function removeGone(source: PlacingSource): Promise<void> {
  rmSync(partsOf(source), { recursive: true, force: true });
  await removeUnwanted(new Set(), source);
  rmSync(join(source.folder, 'record.json'), { force: true });
}

function partsOf({ folder }: PlacingSource): string {
  return join(folder, 'parts');
}

/** Parts of what is wanted no longer. */
function dropStrayParts(parts: string, items: readonly FetchItem[]): void {
  const names = new Set(items.map(({ part }) => basename(part)));
  for (const name of readdirSync(parts)) if (!names.has(name.split('.')[0] ?? '')) rmSync(join(parts, name), { force: true });
}

/** `onFound`: bytes that an earlier fetch has left. */
async function fetchItem({ path, remote, part: file, key, source }: FetchItem, fetching: Fetching, onFound: (bytes: number) => void): Promise<void> {
  const part = await openPart(file, key, remote.crc32c !== null, fetching.signal);
  try {
    onFound(part.size);
    await download(remote, part, fetching);
    const { sha256 } = part.sums();
    await place(path, file, { sha256, size: part.size, key, validator: part.state.any }, source);
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOSPC' || code === 'EDQUOT')
      part.remove(); // a disk that stays full helps nobody
    else await part.keep().catch(() => {}); // the reason is what counts
    throw error;
  } finally {
    part.close();
  }
}

/** Each record is written now and then; until then the marks of the parts know what was placed. */
function createSaver(sources: readonly PlacingSource[]) {
  const marks: string[] = [];
  const changed = new Set(sources);
  let savedAt = performance.now();
  const save = () => {
    for (const { folder, record } of changed) saveRecord(folder, record);
    for (const mark of marks.splice(0)) forgetMark(mark);
    changed.clear();
    savedAt = performance.now();
  };
  return {
    placed: ({ part, source }: FetchItem) => {
      marks.push(part);
      changed.add(source);
      if (performance.now() - savedAt >= saveEveryMs) save();
    },
    save: () => {
      for (const source of sources) changed.add(source);
      save();
    },
  };
}

/** The first failure ends the others; returns, or throws it, when none of them works any more. */
async function inTurns<T>(list: readonly T[], width: number, over: AbortController, work: (item: T) => Promise<void>): Promise<void> {
  const rest = list.values();
  let failure: { readonly error: unknown } | null = null;
  const worker = async () => {
    for (const item of rest) {
      if (failure !== null) return;
      try {
        await work(item);
      } catch (error) {
        failure ??= { error };
        over.abort();
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, list.length) }, worker));
  if (failure !== null) throw (failure as { readonly error: unknown }).error;
}

function createProgress(call: Call) {
  let done = 0;
  let fetched = 0;
  let total: number | null = null;
  let toldAt = Number.NEGATIVE_INFINITY;
  const tell = () => {
    toldAt = performance.now();
    call.event({ type: 'progress', done: total === null ? done : Math.min(done, total), total } satisfies FetchProgress).catch(() => {}); // the call has ended
  };
  return {
    begin: (all: number | null) => {
      total = all;
      if (all !== 0) tell();
    },
    found: (bytes: number) => {
      done += bytes;
    },
    add: (bytes: number) => {
      done = Math.max(0, done + bytes);
      fetched += Math.max(0, bytes);
      if (performance.now() - toldAt >= tellEveryMs) tell();
    },
    get fetched() {
      return fetched;
    },
  };
}

function resultOf(plans: readonly FetchPlan[], fetchedBytes: number, warnings: readonly string[]): FetchResult {
  const sum = (of: (plan: FetchPlan) => number) => plans.reduce((all, plan) => all + of(plan), 0);
  const comeBytes = ({ items, source }: FetchPlan) => items.reduce((all, { path }) => all + (source.record.files.get(path)?.size ?? 0), 0);
  return {
    files: sum(({ presentFiles, items }) => presentFiles + items.length),
    bytes: sum((plan) => plan.presentBytes + comeBytes(plan)),
    fetchedBytes,
    warnings: warnings.slice(0, warnedAtMost),
    warningCount: warnings.length,
  };
}
