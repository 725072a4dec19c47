/**
 * The machine's end of `push`. Order of work, so that a cut at any point leaves nothing torn and the next push can finish:
 * lock, records of what may get placed, removals and folders, files, links, times and modes, records of what is there.
 * May import protocol and `node:`.
 */
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { FrameError } from '../src/protocol/frame.ts';
import type { Call, Part } from '../src/protocol/peer.ts';
import {
  contentId,
  type DirEntry,
  type Entry,
  type FileEntry,
  fileId,
  inParts,
  manifestLine,
  type PushAsk,
  type PushParams,
  type PushResult,
  parentOf,
} from '../src/protocol/sync.ts';
import { receiveFiles } from '../src/protocol/sync-content.ts';
import { parseEntry, parseFields, parseList, parsePushParams, TreeCheck } from '../src/protocol/sync-parse.ts';
import { unpacks } from './pack.ts';
import { RunnerError } from './runner-error.ts';
import { type Applying, beginApplying, closeFolders, finishFolders, makeRoom, placeLink, setTimes, trustNothing } from './sync-apply.ts';
import { look, openWorkdir, toFailure, type Workdir } from './sync-disk.ts';
import { createIncoming, type PlacementDue } from './sync-incoming.ts';
import { takeLock } from './sync-lock.ts';
import { isUntouched, type Placement, type PushPlan, placedAs, planPush } from './sync-plan.ts';
import { loadState, type Placed, type SyncState, saveState } from './sync-state.ts';

/** How long a push waits for another one of the same source. */
const lockWaitMs = 10_000;

export async function receivePush(call: Call, machine: { readonly root: string; readonly workdir: string }): Promise<PushResult> {
  try {
    const params = parsePushParams(call.params);
    const records = join(machine.root, 'sync');
    const lock = await takeLock(join(records, `${params.source}.lock`), lockWaitMs, call.signal);
    try {
      return await receive(call, params, machine, join(records, `${params.source}.json`));
    } finally {
      lock.release();
    }
  } catch (error) {
    throw error instanceof FrameError ? new RunnerError('protocol', error.message) : toFailure(error);
  }
}

async function receive(call: Call, params: PushParams, machine: { readonly root: string; readonly workdir: string }, stateFile: string): Promise<PushResult> {
  mkdirSync(machine.workdir, { recursive: true, mode: 0o700 });
  const workdir = openWorkdir(machine.workdir);
  const state = loadState(stateFile);
  if (state.digest === params.digest && state.untold.length === 0) {
    const { untouched, looked } = await isUntouched(state, workdir, call.signal);
    if (untouched && looked) saveState(stateFile, state);
    if (untouched) return { unchanged: true, kept: [], keptCount: 0, keptIn: '', keptBefore: [], leftAlone: [], leftAloneCount: 0 };
  }
  await call.event({ type: 'manifest', unpacks } satisfies PushAsk);
  const parts = call.parts()[Symbol.asyncIterator]();
  const entries = await receiveManifest(parts, params.digest);
  const applying = beginApplying(
    workdir,
    params.source,
    params.outputs,
    join(machine.root, 'kept', `${new Date().toISOString().replaceAll(':', '-')}-${params.source}`),
  );
  if (state.digest === null) removeTemporaries(state, applying);
  const plan = await planPush(entries, params, state, workdir, call.signal);
  refuseIfFull(plan, workdir);
  const begun = recordIntent(plan, state, applying);
  saveState(stateFile, begun);
  try {
    makeRoom(plan, applying);
    const files = plan.place.filter((placement): placement is Placement & { entry: FileEntry } => placement.entry.kind === 'file');
    for (const indices of inParts(files.map(({ index }) => index))) await call.event({ type: 'need', indices } satisfies PushAsk);
    await call.event({ type: 'need-end' } satisfies PushAsk);
    const { placed, exact } = await placeAll(files, plan, parts, begun, applying);
    finishTouches(entries, plan, placed, applying);
    const result = resultOf(plan, state, applying);
    const after: SyncState = { digest: exact && result.leftAloneCount === 0 ? params.digest : null, placed, untold: [] };
    const untold = begun.untold.filter(isThere);
    saveState(stateFile, { ...after, untold });
    if (untold.length > 0 && (await tell(result, call, parts))) saveState(stateFile, after);
    return result;
  } finally {
    closeFolders(applying);
  }
}

/** A result is one message, whatever the number of files. */
const listedAtMost = 100;

function resultOf(plan: PushPlan, state: SyncState, applying: Applying): PushResult {
  const leftAlone = topsOf([...plan.leftAlone, ...applying.leftAlone]);
  return {
    unchanged: false,
    kept: firstOf(applying.kept),
    keptCount: applying.kept.length,
    keptIn: applying.aside,
    keptBefore: firstOf(state.untold.filter(isThere)),
    leftAlone: firstOf(leftAlone),
    leftAloneCount: leftAlone.length,
  };
}

function firstOf<T>(list: readonly T[]): readonly T[] {
  return inParts(list.slice(0, listedAtMost)).next().value ?? [];
}

/** Without what lies below another one. */
function topsOf(paths: readonly string[]): string[] {
  const all = new Set(paths);
  const isCovered = (folder: string): boolean => folder !== '' && (all.has(folder) || isCovered(parentOf(folder)));
  return paths.filter((path) => !isCovered(parentOf(path)));
}

/** True once the laptop has it: what was moved aside is remembered until then. */
async function tell(result: PushResult, call: Call, parts: AsyncIterator<Part>): Promise<boolean> {
  await call.event({ type: 'result', result } satisfies PushAsk);
  const { value: part, done } = await parts.next();
  return done !== true && part.kind === 'event' && parseFields(part.value)['type'] === 'told';
}

function isThere(absolute: string): boolean {
  return look(absolute) !== null;
}

/** @throws RunnerError `protocol` when it is not the one that was announced */
export async function receiveManifest(parts: AsyncIterator<Part>, digest: string): Promise<Entry[]> {
  const entries: Entry[] = [];
  const check = new TreeCheck();
  const hash = createHash('sha256');
  for (;;) {
    const { value: part, done } = await parts.next();
    if (done === true || part.kind !== 'event') throw new RunnerError('protocol', 'the push ended before its manifest');
    const fields = parseFields(part.value);
    if (fields['type'] === 'entries-end') break;
    for (const entry of parseList(fields['entries'], parseEntry)) {
      check.add(entry);
      hash.update(manifestLine(entry));
      entries.push(entry);
    }
  }
  if (hash.digest('hex') !== digest) throw new RunnerError('protocol', 'the manifest is not the one that was announced');
  return entries;
}

/** Only the one unfinished file that a killed push leaves, in a folder where it wrote. */
function removeTemporaries(state: SyncState, applying: Applying): void {
  for (const folder of new Set(['', ...[...state.placed.keys()].map(parentOf)])) {
    const temporary = folder === '' ? applying.temporary : `${folder}/${applying.temporary}`;
    if (applying.workdir.reaches(temporary)) rmSync(applying.workdir.absolute(temporary), { force: true });
  }
}

/** New files stand beside the old ones until they are renamed. */
function refuseIfFull(plan: PushPlan, workdir: Workdir): void {
  let bytes = 0;
  let peak = 0;
  for (const { entry, frees } of plan.place) {
    if (entry.kind !== 'file') continue;
    bytes += entry.size;
    peak = Math.max(peak, bytes);
    bytes -= frees;
  }
  const disk = statfsSync(workdir.top);
  const free = disk.bavail * disk.bsize;
  if (disk.blocks > 0 && peak > free)
    throw new RunnerError(
      'disk-full',
      `the push needs ${megabytes(peak)} on the machine and only ${megabytes(free)} are free there (${workdir.top}); nothing was sent`,
    );
  if (disk.files > 0 && plan.place.length > disk.ffree)
    throw new RunnerError(
      'disk-full',
      `the push makes ${plan.place.length} files on the machine and its file system has room for only ${disk.ffree} more; nothing was sent`,
    );
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1e6)} MB`;
}

/** What this push may place counts as ours from now on, beside what was ours before: a cut push leaves some of both. */
function recordIntent(plan: PushPlan, state: SyncState, applying: Applying): SyncState {
  const placed = new Map<string, Placed>([...state.placed, ...plan.present]);
  for (const { entry } of plan.place) {
    const prior = state.placed.get(entry.path);
    placed.set(entry.path, {
      ours: [...new Set([...(prior?.ours ?? []), contentId(entry)])],
      found: prior?.found ?? null,
      fingerprint: null,
      settled: false,
      mtime: 0,
    });
  }
  return { digest: null, placed, untold: [...state.untold.filter(isThere), applying.aside] };
}

async function placeAll(
  files: readonly (Placement & { entry: FileEntry })[],
  plan: PushPlan,
  parts: AsyncIterator<Part>,
  begun: SyncState,
  applying: Applying,
): Promise<{ placed: Map<string, Placed>; exact: boolean }> {
  const placed = new Map(plan.present);
  let exact = true;
  const due = files.map(
    (placement): PlacementDue => ({ placement, index: placement.index, announced: placement.entry.sha256, most: Number.POSITIVE_INFINITY }),
  );
  const landing = createIncoming(applying, {
    placed: ({ placement: { entry } }, { size, id, torn }, fingerprint) => {
      exact &&= !torn && id === entry.sha256;
      placed.set(entry.path, { ...placedAs(entry, true, fingerprint), ours: [fileId(size, id)] });
    },
    leftAlone: ({ announced }, { id, torn }) => {
      exact &&= !torn && id === announced;
    },
    gone: ({ placement: { entry } }) => {
      exact = false;
      const before = begun.placed.get(entry.path);
      if (before !== undefined) placed.set(entry.path, before);
    },
  });
  await receiveFiles(parts, due, landing);
  trustNothing(applying);
  for (const placement of plan.place) {
    if (placement.entry.kind !== 'link' || !placeLink(placement, applying)) continue;
    placed.set(placement.entry.path, placedAs(placement.entry, true, look(applying.workdir.absolute(placement.entry.path))?.fingerprint ?? null));
  }
  return { placed, exact };
}

function finishTouches(entries: readonly Entry[], plan: PushPlan, placed: Map<string, Placed>, applying: Applying): void {
  for (const entry of plan.touch) {
    const absolute = applying.workdir.absolute(entry.path);
    const before = placed.get(entry.path);
    if (entry.kind !== 'file' || before === undefined || look(absolute)?.fingerprint !== before.fingerprint) continue;
    chmodSync(absolute, entry.mode);
    setTimes(absolute, entry.mtime);
    placed.set(entry.path, { ...before, fingerprint: look(absolute)?.fingerprint ?? null });
  }
  const made = new Set(plan.place.map(({ entry }) => entry.path));
  const folders = entries.filter(
    (entry): entry is DirEntry => entry.kind === 'dir' && (made.has(entry.path) || plan.present.has(entry.path)) && applying.workdir.reaches(entry.path),
  );
  finishFolders(folders, applying);
  for (const folder of folders) {
    const seen = look(applying.workdir.absolute(folder.path));
    if (seen?.kind !== 'dir') continue;
    const before = placed.get(folder.path);
    const ours = before === undefined ? made.has(folder.path) : before.ours.length > 0;
    placed.set(folder.path, placedAs(folder, ours, seen.fingerprint));
  }
}
