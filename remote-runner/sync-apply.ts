/**
 * Changes the machine's disk as a plan says, one small atomic step at a time. Before anything is replaced it is looked at
 * once more: what the machine made or changed meanwhile is moved aside, never lost. May import protocol and `node:`.
 */
import { chmodSync, mkdirSync, renameSync, rmdirSync, rmSync, symlinkSync, unlinkSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { type DirEntry, isWithin, parentOf, temporaryPrefix } from '../src/protocol/sync.ts';
import { RunnerError } from './runner-error.ts';
import { putAside } from './sync-aside.ts';
import { errorCode, look, type Workdir } from './sync-disk.ts';
import type { Placement, PushPlan } from './sync-plan.ts';

export interface Applying {
  readonly workdir: Workdir;
  readonly outputs: readonly string[];
  /** Where the machine's own files are moved to when a push needs their place; does not exist yet. */
  readonly aside: string;
  /** Name of unfinished files, one per folder at most: a push writes one file at a time. */
  readonly temporary: string;
  readonly kept: { path: string; to: string }[];
  readonly leftAlone: string[];
  /** Folders whose content changed. */
  readonly touched: Set<string>;
  /** Folders that were looked at a moment ago, with all above them: they lead where they seem to lead, and can be written to. */
  readonly sure: Set<string>;
  /** Read-only folders that were opened for writing, with the mode to give back. */
  readonly opened: Map<string, number>;
}

export function beginApplying(workdir: Workdir, source: string, outputs: readonly string[], aside: string): Applying {
  return { workdir, outputs, aside, temporary: `${temporaryPrefix}${source}`, kept: [], leftAlone: [], touched: new Set(), sure: new Set(), opened: new Map() };
}

/** First what goes, then the folders: afterwards every file has a place to be written to. */
export function makeRoom(plan: PushPlan, applying: Applying): void {
  for (const path of plan.aside) moveAside(path, applying);
  for (const { path, replaces } of plan.remove) removeOurs(path, replaces, applying);
  for (const placement of plan.place) if (placement.entry.kind === 'dir') placeFolder(placement, applying);
}

function removeOurs(path: string, fingerprint: string, applying: Applying): void {
  const absolute = applying.workdir.absolute(path);
  const seen = look(absolute);
  if (seen === null) return;
  openForWriting(parentOf(path), applying);
  if (seen.kind === 'dir') removeIfEmpty(absolute);
  else if (seen.fingerprint === fingerprint) unlinkSync(absolute);
}

function placeFolder({ entry, replaces }: Placement, applying: Applying): void {
  const absolute = applying.workdir.absolute(entry.path);
  makeParents(parentOf(entry.path), applying);
  refuseDetours(entry.path, applying);
  openForWriting(parentOf(entry.path), applying);
  if (look(absolute)?.kind === 'dir') return;
  if (!makeWay(entry.path, replaces, applying)) return;
  rmSync(absolute, { force: true }); // ours, and no folder
  mkdirSync(absolute, { mode: 0o700 }); // its own mode comes last: it may be read-only
}

/** Puts a finished file or a link in its place. False: the machine has an output there, which stays. */
export function placeOver({ entry, replaces }: Placement, temporary: string, applying: Applying): boolean {
  const free = makeWay(entry.path, replaces, applying);
  if (free) renameSync(temporary, applying.workdir.absolute(entry.path));
  else unlinkSync(temporary);
  return free;
}

export function placeLink(placement: Placement, applying: Applying): boolean {
  const { entry } = placement;
  if (entry.kind !== 'link') return false;
  const temporary = temporaryFor(entry.path, applying);
  rmSync(temporary, { force: true });
  symlinkSync(entry.target, temporary);
  return placeOver(placement, temporary, applying);
}

/** Where a file is written before it gets its name: in its own folder, made if need be, so that renaming it is atomic. */
export function temporaryFor(path: string, applying: Applying): string {
  const folder = parentOf(path);
  if (!applying.sure.has(folder)) {
    makeParents(folder, applying);
    refuseDetours(path, applying);
    openForWriting(folder, applying);
    applying.sure.add(folder);
  }
  return join(applying.workdir.absolute(folder), applying.temporary);
}

/** To be called after each pause: the machine may have changed anything meanwhile. */
export function trustNothing(applying: Applying): void {
  applying.sure.clear();
}

/** A link that was put in a folder's place during the push would lead out of the workdir. */
function refuseDetours(path: string, applying: Applying): void {
  if (!applying.workdir.reaches(path)) throw new RunnerError('sync', `a folder above ${path} was replaced on the machine during the push; push again`);
}

/** Folders above a data target belong to no manifest. */
function makeParents(folder: string, applying: Applying): void {
  if (folder === '' || look(applying.workdir.absolute(folder)) !== null) return;
  makeParents(parentOf(folder), applying);
  openForWriting(parentOf(folder), applying);
  mkdirSync(applying.workdir.absolute(folder), { mode: 0o755 });
}

/** Makes the place free: renaming to it is safe then, nothing is there, or what may be replaced. False: the machine has an output there, which stays. */
export function makeWay(path: string, replaces: string | null, applying: Applying): boolean {
  const absolute = applying.workdir.absolute(path);
  const seen = look(absolute);
  if (seen === null) return true;
  if (seen.kind === 'dir' ? removeIfEmpty(absolute) : seen.fingerprint === replaces) return true;
  if (applying.outputs.some((output) => isWithin(path, output))) {
    applying.leftAlone.push(path);
    return false;
  }
  moveAside(path, applying);
  return true;
}

function moveAside(path: string, applying: Applying): void {
  const absolute = applying.workdir.absolute(path);
  const seen = look(absolute);
  if (seen === null) return;
  openForWriting(parentOf(path), applying);
  if (seen.kind === 'dir') openForWriting(path, applying); // moving a folder writes into it
  applying.kept.push({ path, to: putAside(absolute, seen, applying.aside, path) });
}

function removeIfEmpty(absolute: string): boolean {
  try {
    rmdirSync(absolute);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOTEMPTY' || errorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

const ownerMayWrite = 0o700;

/** A folder whose content is about to change; a read-only one is opened, and closed again by `finishFolders` or `closeFolders`. */
export function openForWriting(folder: string, applying: Applying): void {
  if (applying.touched.has(folder)) return;
  const absolute = applying.workdir.absolute(folder);
  const mode = look(absolute)?.mode;
  if (mode === undefined) return;
  if ((mode & ownerMayWrite) !== ownerMayWrite) {
    chmodSync(absolute, mode | ownerMayWrite);
    applying.opened.set(folder, mode);
  }
  applying.touched.add(folder);
}

/** Modes and times of folders, children first, after the last change below them. */
export function finishFolders(folders: readonly DirEntry[], applying: Applying): void {
  for (const { path, mode, mtime } of folders.toReversed()) {
    const absolute = applying.workdir.absolute(path);
    const seen = look(absolute);
    if (seen?.kind !== 'dir') continue;
    applying.opened.delete(path);
    if (seen.mode !== mode) chmodSync(absolute, mode);
    if (applying.touched.has(path)) setTimes(absolute, mtime);
  }
}

/** In any case, also after a failure: folders of the machine's own get their mode back. */
export function closeFolders(applying: Applying): void {
  for (const [folder, mode] of applying.opened) {
    const absolute = applying.workdir.absolute(folder);
    if (look(absolute)?.kind === 'dir') chmodSync(absolute, mode);
  }
}

export function setTimes(absolute: string, mtime: number): void {
  utimesSync(absolute, new Date(), mtime / 1e6);
}
