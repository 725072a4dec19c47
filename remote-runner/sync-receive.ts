/**
 * The machine's end of `push`. Order of work, so that a cut at any point leaves nothing torn and the next push can finish:
 * lock, records of what may get placed, removals and folders, files, links, times and modes, records of what is there.
 * May import protocol and `node:`.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { FrameError } from '../src/protocol/frame.ts';
import { PackedFolder } from '../src/protocol/packed-folder.ts';
import type { Call, Part } from '../src/protocol/peer.ts';
import { contentId, type DirEntry, type Entry, fileId, inParts, type PushAsk, type PushParams, type PushResult, parentOf } from '../src/protocol/sync.ts';
import { receiveFiles } from '../src/protocol/sync-content.ts';
import { parseFields, parsePushParams } from '../src/protocol/sync-parse.ts';
import { RunnerError } from './runner-error.ts';
import { type Applying, beginApplying, closeFolders, finishFolders, makeRoom, placeLink, setTimes, trustNothing } from './sync-apply.ts';
import { look, openWorkdir, toFailure, type Workdir } from './sync-disk.ts';
import { createIncoming } from './sync-incoming.ts';
import { dueOf, findLarge, findPart, type Large, offersOf, type PlacementDue } from './sync-large.ts';
import type { LiveSources } from './sync-live.ts';
import { takeLock } from './sync-lock.ts';
import { type Placement, type PushPlan, placedAs, planPush } from './sync-plan.ts';
import { type Records, toPlaced } from './sync-records.ts';
import { clearWaiting, type FilePlacement, findContent, isFile, placeWaiting, putContentBy, type Source } from './sync-reuse.ts';
import { type Coming, needsOf, refuseIfFull } from './sync-room.ts';
import { loadState, type SyncState, saveState, stateSuffix } from './sync-state.ts';
import { lookAtAll } from './sync-untouched.ts';
import { receiveWanted } from './sync-wanted.ts';

/** How long a push waits for another one of the same source. */
const lockWaitMs = 10_000;

/** `live`: what this connection remembers; absent: nothing. */
export async function receivePush(call: Call, machine: Machine): Promise<PushResult> {
  try {
    const params = parsePushParams(call.params);
    const records = join(machine.root, 'sync');
    const lock = await takeLock(join(records, `${params.source}.lock`), lockWaitMs, call.signal);
    try {
      return await receive(call, params, machine, join(records, `${params.source}${stateSuffix}`));
    } finally {
      lock.release();
    }
  } catch (error) {
    throw error instanceof FrameError ? new RunnerError('protocol', error.message) : toFailure(error);
  }
}

interface Machine {
  readonly root: string;
  readonly workdir: string;
  readonly live?: LiveSources;
}

async function receive(call: Call, params: PushParams, machine: Machine, stateFile: string): Promise<PushResult> {
  mkdirSync(machine.workdir, { recursive: true, mode: 0o700 });
  const workdir = openWorkdir(machine.workdir);
  const remember = (now: SyncState) => params.live && machine.live?.remember(params.source, stateFile, now, machine.workdir);
  const { state, isUntouched } = await lastState(params, machine.live, workdir, stateFile, call.signal);
  if (isUntouched && state.digest === params.digest) {
    remember(state);
    return nothingDone;
  }
  const parts = call.parts()[Symbol.asyncIterator]();
  const wanted = await receiveWanted(call, parts, params, isUntouched, state);
  const applying = beginApplying(
    workdir,
    params.source,
    params.outputs,
    join(machine.root, 'kept', `${new Date().toISOString().replaceAll(':', '-')}-${params.source}`),
  );
  if (state.digest === null) removeTemporaries(state, applying);
  const plan = await planPush(wanted, params, state, workdir, call.signal);
  const records = dirname(stateFile);
  const part = findPart(records, params.source, plan.place, applying);
  const sources = findContent(plan, state.placed, recordsOfOthers(stateFile), applying);
  const own = new Map(sources.map(({ placement, move }) => [placement as Placement, comingBy(move)]));
  const needs = needsOf(plan, (placement) => own.get(placement) ?? 'sent');
  refuseIfFull(needs, part?.size ?? 0, workdir.top);
  const begun = saveState(stateFile, recordIntent(plan, state, applying));
  try {
    const waiting = await putContentBy(sources, applying, call.signal);
    makeRoom(plan, applying);
    const files = plan.place.filter(isFile);
    const missing = files.filter(({ index }) => !waiting.has(index));
    const due = missing.map(dueOf);
    const large = await findLarge(due, state.placed, part, { records, source: params.source, applying, signal: call.signal });
    for (const indices of inParts(missing.map(({ index }) => index))) await call.event({ type: 'need', indices } satisfies PushAsk);
    for (const offers of inParts(offersOf(due, large))) await call.event({ type: 'offer', offers } satisfies PushAsk);
    await call.event({ type: 'need-end' } satisfies PushAsk);
    const placed = placeOwn(files, waiting, plan, applying);
    const exact = await placeAll(due, large, placed, parts, begun, applying);
    placeLinks(plan, placed, applying);
    clearWaiting(applying);
    finishTouches(wanted.entries, plan, placed, applying);
    const result = resultOf(plan, state, applying);
    const isWhole = exact && result.leftAloneCount === 0 && placed.digest === params.digest;
    const untold = begun.untold.filter(isThere);
    const after = saveState(stateFile, { ...begun, digest: isWhole ? params.digest : null, placed, untold });
    remember(untold.length > 0 && (await tell(result, call, parts)) ? saveState(stateFile, { ...after, untold: [] }) : after);
    return result;
  } finally {
    closeFolders(applying);
  }
}

/** `isUntouched`: it is the one that was announced, or its base, and everything is as it was left. */
async function lastState(params: PushParams, live: LiveSources | undefined, workdir: Workdir, stateFile: string, signal: AbortSignal) {
  const isWanted = ({ digest, untold }: SyncState) => digest !== null && untold.length === 0 && (digest === params.digest || digest === params.base);
  const remembered = await live?.recall(params.source, stateFile);
  if (remembered) return { state: remembered, isUntouched: isWanted(remembered) };
  const loaded = loadState(stateFile);
  const looked = isWanted(loaded) ? await lookedAt(loaded, workdir, stateFile, signal) : null;
  return { state: looked ?? loaded, isUntouched: looked !== null };
}

/** As it stands in its file, if everything that the last push left is as it was left; null: something is not. */
async function lookedAt(state: SyncState, workdir: Workdir, stateFile: string, signal: AbortSignal): Promise<SyncState | null> {
  const looked = await lookAtAll(state.placed, workdir, signal);
  if (looked === null) return null;
  return looked.read > 0 ? saveState(stateFile, state) : state;
}

const nothingDone: PushResult = { unchanged: true, kept: [], keptCount: 0, keptIn: '', keptBefore: [], leftAlone: [], leftAloneCount: 0 };

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

/** Only the one unfinished file that a killed push leaves, in a folder where it wrote. */
function removeTemporaries(state: SyncState, applying: Applying): void {
  for (const folder of ['', ...state.placed.folders.keys()]) {
    const temporary = folder === '' ? applying.temporary : `${folder}/${applying.temporary}`;
    if (applying.workdir.reaches(temporary)) rmSync(applying.workdir.absolute(temporary), { force: true });
  }
}

/** What pushes of the other sources placed. */
export function* recordsOfOthers(stateFile: string): Generator<Records> {
  const folder = dirname(stateFile);
  for (const name of existsSync(folder) ? readdirSync(folder) : [])
    if (name.endsWith(stateSuffix) && name !== basename(stateFile)) yield loadState(join(folder, name)).placed;
}

function comingBy(move: Source['move']): Coming {
  if (move === null) return 'copied';
  return move.folder === null ? 'put-by' : 'moved';
}

/** What this push may place counts as ours from now on, beside what was ours before: a cut push leaves some of both. */
function recordIntent(plan: PushPlan, state: SyncState, applying: Applying): SyncState {
  const placed = state.placed.copy();
  for (const [folder, bytes] of plan.present.folders) {
    if (state.placed.folders.get(folder) === bytes) continue;
    for (const row of new PackedFolder(bytes).rows()) placed.set(folder === '' ? row.name : `${folder}/${row.name}`, toPlaced(row));
  }
  for (const { entry } of plan.place) {
    const prior = placed.get(entry.path);
    const ours = [...new Set([...(prior?.ours ?? []), contentId(entry)])];
    placed.set(entry.path, { ours, found: prior?.found ?? null, fingerprint: null, settled: false, mtime: 0, mode: 0 });
  }
  return { ...state, digest: null, placed, untold: [...state.untold.filter(isThere), applying.aside] };
}

/** What the machine had itself. Gives the new records, and in them what was there. */
function placeOwn(files: readonly FilePlacement[], waiting: ReadonlyMap<number, string>, plan: PushPlan, applying: Applying): Records {
  const placed = plan.present.copy();
  trustNothing(applying);
  for (const placement of files) {
    const from = waiting.get(placement.index);
    if (from === undefined || !placeWaiting(placement, from, applying)) continue;
    const { entry } = placement;
    placed.set(entry.path, placedAs(entry, true, look(applying.workdir.absolute(entry.path))?.fingerprint ?? null));
  }
  return placed;
}

/** What the laptop sends. False: something else than the manifest says came. */
async function placeAll(
  due: readonly PlacementDue[],
  large: Large,
  placed: Records,
  parts: AsyncIterator<Part>,
  begun: SyncState,
  applying: Applying,
): Promise<boolean> {
  let exact = true;
  const landing = createIncoming(applying, large, {
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
  return exact;
}

function placeLinks(plan: PushPlan, placed: Records, applying: Applying): void {
  for (const placement of plan.place) {
    if (placement.entry.kind !== 'link' || !placeLink(placement, applying)) continue;
    placed.set(placement.entry.path, placedAs(placement.entry, true, look(applying.workdir.absolute(placement.entry.path))?.fingerprint ?? null));
  }
}

function finishTouches(entries: readonly Entry[], plan: PushPlan, placed: Records, applying: Applying): void {
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
