/**
 * Content that is on this machine already is not sent again. Before anything is asked for, what a push needs is looked for among what
 * earlier pushes placed, of this source and of the others, and in what a cut push had put by. What goes away in this push is renamed,
 * anything else copied; a copy is hashed before it counts. May import protocol and `node:`.
 */
import { chmodSync, constants, copyFileSync, mkdirSync, readdirSync, renameSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { contentId, type FileEntry, parentOf } from '../src/protocol/sync.ts';
import { type Applying, openForWriting, placeOver, temporaryFor } from './sync-apply.ts';
import { errorCode, hashFile, look, type Workdir } from './sync-disk.ts';
import type { Placement, PushPlan } from './sync-plan.ts';
import type { Records } from './sync-records.ts';

export type FilePlacement = Placement & { readonly entry: FileEntry };

/** Where a placement's content may be had. */
export interface Source {
  readonly placement: FilePlacement;
  /** Put by in an earlier push, or placed there and going away in this one with this fingerprint. Absolute. */
  readonly move: { readonly from: string; readonly fingerprint: string; readonly folder: string | null } | null;
  /** Workdir-relative, in the order in which they are tried. */
  readonly copies: readonly string[];
}

/** Of more places with the same content the first ones will do. */
const copiesTried = 3;

/** Reads nothing but names; which of it is really there shows when it is put by. `others` are asked for what `own` doesn't know. */
export function findContent(plan: PushPlan, own: Records, others: Iterable<Records>, applying: Applying): Source[] {
  const needed = neededContent(plan);
  if (needed.size === 0) return [];
  const moves = new Map<string, NonNullable<Source['move']>[]>();
  const addMove = (id: string, move: NonNullable<Source['move']>) => {
    if (needed.has(id)) moves.set(id, [...(moves.get(id) ?? []), move]);
  };
  for (const { from, id, fingerprint } of putBy(applying)) addMove(id, { from, fingerprint, folder: null });
  for (const { path, replaces, id } of plan.remove) addMove(id, { from: applying.workdir.absolute(path), fingerprint: replaces, folder: parentOf(path) });
  const copies = findCopies(needed, own, others);
  return [...needed].flatMap(([id, placements]) => {
    const leaving = moves.get(id) ?? [];
    const from = [...(copies.get(id) ?? []), ...plan.remove.filter((removal) => removal.id === id).map(({ path }) => path)].slice(0, copiesTried);
    // What leaves is copied before it is gone.
    const firstMoved = placements.length - leaving.length;
    return placements
      .map((placement, at): Source => ({ placement, move: at < firstMoved ? null : (leaving[at - firstMoved] ?? null), copies: from }))
      .filter(({ move }) => move !== null || from.length > 0);
  });
}

function neededContent(plan: PushPlan): Map<string, FilePlacement[]> {
  const needed = new Map<string, FilePlacement[]>();
  for (const placement of plan.place) {
    if (!isFile(placement) || placement.entry.size === 0) continue;
    const id = contentId(placement.entry);
    const same = needed.get(id);
    if (same === undefined) needed.set(id, [placement]);
    else same.push(placement);
  }
  return needed;
}

export function isFile(placement: Placement): placement is FilePlacement {
  return placement.entry.kind === 'file';
}

/** What is as quickly sent as looked for. */
const littleBytes = 64 * 1024;

function findCopies(needed: ReadonlyMap<string, readonly FilePlacement[]>, own: Records, others: Iterable<Records>): Map<string, string[]> {
  const copies = new Map<string, string[]>();
  const sizes = new Set([...needed.values()].map(([first]) => first?.entry.size ?? 0));
  const lookInto = (records: Records) => {
    for (const [path, { ours, found }] of records.filesOf(sizes)) {
      for (const id of ours) if (needed.has(id)) note(id, path, copies);
      if (found !== null && needed.has(found)) note(found, path, copies);
    }
  };
  const missing = () => [...needed].reduce((sum, [id, [first]]) => sum + (copies.has(id) ? 0 : (first?.entry.size ?? 0)), 0);
  lookInto(own);
  if (missing() < littleBytes) return copies;
  for (const records of others) {
    lookInto(records);
    if (missing() === 0) break;
  }
  return copies;
}

function note(id: string, path: string, copies: Map<string, string[]>): void {
  const known = copies.get(id);
  if (known === undefined) copies.set(id, [path]);
  else if (known.length < copiesTried) known.push(path);
}

/** Where content waits for its place: on the workdir's own disk, under a name that nobody lists. */
function waitingFolder({ workdir, temporary }: Applying): string {
  return workdir.absolute(`${temporary}.d`);
}

/** `size-sha256-number`, as a push names what it puts by. */
function* putBy(applying: Applying): Generator<{ readonly from: string; readonly id: string; readonly fingerprint: string }> {
  const folder = waitingFolder(applying);
  if (look(folder)?.kind !== 'dir') return;
  for (const name of readdirSync(folder)) {
    const [, size, sha256] = /^(\d+)-([0-9a-f]{64})-\d+$/.exec(name) ?? [];
    const seen = look(join(folder, name));
    if (sha256 !== undefined && seen?.kind === 'file') yield { from: join(folder, name), id: `file:${size}:${sha256}`, fingerprint: seen.fingerprint };
  }
}

/** Puts by what can be had, before anything is removed. By index, where it waits; what is missing has to be sent. */
export async function putContentBy(sources: readonly Source[], applying: Applying, signal: AbortSignal): Promise<Map<number, string>> {
  const waiting = new Map<number, string>();
  if (sources.length === 0) return waiting;
  const folder = waitingFolder(applying);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const source of sources) {
    signal.throwIfAborted();
    const { entry, index } = source.placement;
    const to = join(folder, `${entry.size}-${entry.sha256}-${index}`);
    if ((await move(source, to, applying, signal)) || (await copyAny(source, to, applying, signal))) waiting.set(index, to);
  }
  return waiting;
}

async function move({ move: leaving, placement }: Source, to: string, applying: Applying, signal: AbortSignal): Promise<boolean> {
  if (leaving === null) return false;
  const { from, fingerprint, folder } = leaving;
  if (folder !== null && !applying.workdir.reaches(`${folder}/x`)) return false;
  if (look(from)?.fingerprint !== fingerprint) return false;
  // What a cut push has put by is known by its name alone.
  if (folder === null && !(await holds(from, placement, signal))) return false;
  if (folder !== null) openForWriting(folder, applying);
  return attempt(() => renameSync(from, to));
}

async function copyAny({ copies, placement }: Source, to: string, { workdir }: Applying, signal: AbortSignal): Promise<boolean> {
  for (const path of copies) if (await copy(path, to, placement, workdir, signal)) return true;
  return false;
}

async function copy(path: string, to: string, placement: FilePlacement, workdir: Workdir, signal: AbortSignal): Promise<boolean> {
  const from = workdir.absolute(path);
  const seen = workdir.reaches(path) ? look(from) : null;
  if (seen?.kind !== 'file' || seen.size !== placement.entry.size) return false;
  rmSync(to, { force: true });
  const copied = attempt(() => {
    copyFileSync(from, to, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
    chmodSync(to, 0o600);
  });
  if (copied && (await holds(to, placement, signal))) return true;
  rmSync(to, { force: true });
  return false;
}

async function holds(absolute: string, { entry }: FilePlacement, signal: AbortSignal): Promise<boolean> {
  return (await hashFile(absolute, signal))?.id === contentId(entry);
}

/** False where the file system refuses: then the content is sent. */
function attempt(step: () => void): boolean {
  try {
    step();
    return true;
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    return false;
  }
}

/** Gives what waits at `waiting` its name. False: the machine has an output there, which stays. */
export function placeWaiting(placement: FilePlacement, waiting: string, applying: Applying): boolean {
  const { entry } = placement;
  const temporary = temporaryFor(entry.path, applying);
  rmSync(temporary, { force: true });
  try {
    renameSync(waiting, temporary);
  } catch (error) {
    if (errorCode(error) !== 'EXDEV') throw error;
    copyFileSync(waiting, temporary, constants.COPYFILE_EXCL);
    rmSync(waiting);
  }
  chmodSync(temporary, entry.mode);
  utimesSync(temporary, new Date(), entry.mtime / 1e6);
  return placeOver(placement, temporary, applying);
}

/** At the end of a push that was not cut: nothing waits any more. */
export function clearWaiting(applying: Applying): void {
  rmSync(waitingFolder(applying), { recursive: true, force: true });
}
