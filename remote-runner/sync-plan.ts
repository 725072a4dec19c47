/**
 * What a push has to do on this machine: compares the manifest with what is there and with what earlier pushes placed.
 * Changes nothing. May import protocol and `node:`.
 */
import { contentId, type Entry, isWithin, type PushParams, parentOf } from '../src/protocol/sync.ts';
import { RunnerError } from './runner-error.ts';
import type { Wanted } from './sync-changes.ts';
import { hashFile, look, readTarget, type Seen, type Workdir } from './sync-disk.ts';
import { type Placed, Records } from './sync-records.ts';
import type { SyncState } from './sync-state.ts';

/** An entry to be put there. */
export interface Placement {
  readonly entry: Entry;
  /** Its place in the manifest. */
  readonly index: number;
  /** What may be overwritten, as it looks now; anything else that is found there at that moment is the machine's own. */
  readonly replaces: string | null;
  /** Something of the machine's own is in its place. */
  readonly blocked: boolean;
  /** Bytes that replacing sets free. */
  readonly frees: number;
}

export interface Removal {
  readonly path: string;
  readonly replaces: string;
  /** Its content. */
  readonly id: string;
}

export interface PushPlan {
  readonly place: readonly Placement[];
  /** Content is there; mode or time are not. */
  readonly touch: readonly Entry[];
  /** Placed by us, unchanged since, gone from the source; deepest first. */
  readonly remove: readonly Removal[];
  /** Placed by us, changed on the machine, gone from the source. */
  readonly aside: readonly string[];
  readonly leftAlone: readonly string[];
  /** What is there already. */
  readonly present: Records;
}

interface Identified {
  /** null: none of the contents that matter here. */
  readonly id: string | null;
  readonly fingerprint: string;
}

/** A folder of the manifest, or one above it. Below one that is coming nothing can be there; one that is left alone is not entered. */
type FolderState = 'there' | 'coming' | 'left-alone';

interface Draft {
  readonly params: PushParams;
  readonly workdir: Workdir;
  readonly folders: Map<string, FolderState>;
  readonly place: Placement[];
  readonly touch: Entry[];
  readonly leftAlone: string[];
  readonly present: Records;
}

export async function planPush(
  { entries, gone, stays }: Wanted,
  params: PushParams,
  state: Pick<SyncState, 'placed'>,
  workdir: Workdir,
  signal: AbortSignal,
): Promise<PushPlan> {
  const draft: Draft = { params, workdir, folders: new Map([['', 'there']]), place: [], touch: [], leftAlone: [], present: stays };
  for (const [index, entry] of entries.entries()) {
    refuseOthers(entry, params.others);
    const folder = await planEntry(index, entry, state.placed.get(entry.path), draft, signal);
    if (entry.kind === 'dir') draft.folders.set(entry.path, folder);
  }
  return { ...draft, ...(await planRemovals(gone, params, workdir, signal)) };
}

/** A whole manifest. */
export function wantWhole(entries: readonly Entry[], { placed }: Pick<SyncState, 'placed'>): Wanted {
  const wanted = new Set(entries.map(({ path }) => path));
  return { entries, gone: [...placed].filter(([path]) => !wanted.has(path)), stays: new Records() };
}

/** What becomes of the entry, in the words for a folder. */
async function planEntry(index: number, entry: Entry, prior: Placed | undefined, draft: Draft, signal: AbortSignal): Promise<FolderState> {
  const { path } = entry;
  const parent = folderState(parentOf(path), draft);
  if (parent === 'left-alone') return 'left-alone';
  const absolute = draft.workdir.absolute(path);
  const seen = parent === 'there' ? look(absolute) : null;
  if (seen === null) {
    draft.place.push({ entry, index, replaces: null, blocked: false, frees: 0 });
    return 'coming';
  }
  const wanted = contentId(entry);
  const { id, fingerprint } = await identify(absolute, seen, prior, wanted, signal);
  const isOurs = id !== null && prior?.ours.includes(id) === true;
  const isOutput = draft.params.outputs.some((output) => isWithin(path, output));
  if (id === wanted) {
    if ((isOurs || !isOutput) && !looksAsWanted(entry, seen, prior, fingerprint)) draft.touch.push(entry);
    draft.present.set(path, placedAs(entry, isOurs, fingerprint));
    return 'there';
  }
  if (isOutput && !isOurs) {
    draft.leftAlone.push(path);
    return 'left-alone';
  }
  const mayGo = isOurs || (id !== null && prior?.found === id);
  draft.place.push({ entry, index, replaces: mayGo ? fingerprint : null, blocked: !mayGo, frees: mayGo ? seen.size : 0 });
  return 'coming';
}

/** Mode and time: times are compared with what was set here before, never with a clock elsewhere. */
function looksAsWanted(entry: Entry, seen: Seen, prior: Placed | undefined, fingerprint: string): boolean {
  if (entry.kind === 'link') return true;
  return seen.mode === entry.mode && (entry.kind === 'dir' || (prior?.fingerprint === fingerprint && prior.mtime === entry.mtime));
}

export function placedAs(entry: Entry, ours: boolean, fingerprint: string | null): Placed {
  const id = contentId(entry);
  const { mode, mtime } = entry.kind === 'link' ? { mode: 0, mtime: 0 } : entry;
  return { ours: ours ? [id] : [], found: ours ? null : id, fingerprint, settled: false, mtime, mode };
}

/** Hashes only where the size leaves the content open. */
export async function identify(absolute: string, seen: Seen, prior: Placed | undefined, wanted: string, signal: AbortSignal): Promise<Identified> {
  const { fingerprint } = seen;
  if (seen.kind === 'dir') return { id: 'dir', fingerprint };
  if (seen.kind === 'other') return { id: null, fingerprint };
  if (prior?.settled === true && prior.fingerprint === fingerprint) return { id: prior.ours[0] ?? prior.found, fingerprint };
  if (seen.kind === 'link') {
    const target = readTarget(absolute);
    return { id: target === null ? null : `link:${target}`, fingerprint };
  }
  const candidates = [wanted, ...(prior?.ours ?? []), prior?.found];
  if (!candidates.some((id) => id?.startsWith(`file:${seen.size}:`))) return { id: null, fingerprint };
  const hashed = await hashFile(absolute, signal);
  return hashed === null ? { id: null, fingerprint } : { id: hashed.id, fingerprint: hashed.seen.fingerprint };
}

function refuseOthers(entry: Entry, others: readonly string[]): void {
  const other = others.find((folder) => isWithin(entry.path, folder) || (entry.kind !== 'dir' && isWithin(folder, entry.path)));
  if (other !== undefined) throw new RunnerError('bad-input', `${entry.path} would lie in the place of another source, ${other}`);
}

/** Folders of the manifest are known by now; the ones above a data target are looked at. */
function folderState(path: string, draft: Draft): FolderState {
  const known = draft.folders.get(path);
  if (known !== undefined) return known;
  const absolute = draft.workdir.absolute(path);
  const seen = folderState(parentOf(path), draft) === 'there' ? look(absolute) : null;
  if (seen !== null && seen.kind !== 'dir') {
    const what = seen.kind === 'link' ? 'a link' : 'no folder';
    throw new RunnerError('sync', `${absolute} is ${what} on the machine, and a source belongs below it; remove it there, or choose another target`);
  }
  const state = seen === null ? 'coming' : 'there';
  draft.folders.set(path, state);
  return state;
}

/** Deepest first. */
async function planRemovals(gone: Wanted['gone'], params: PushParams, workdir: Workdir, signal: AbortSignal): Promise<{ remove: Removal[]; aside: string[] }> {
  const remove: Removal[] = [];
  const aside: string[] = [];
  const mayStay = [...params.outputs, ...params.others];
  for (const [path, prior] of [...gone].sort(([one], [other]) => (one < other ? 1 : -1))) {
    if (prior.ours.length === 0) continue;
    if (!workdir.reaches(path)) continue;
    const seen = look(workdir.absolute(path));
    if (seen === null) continue;
    const { id, fingerprint } = await identify(workdir.absolute(path), seen, prior, '', signal);
    if (id !== null && prior.ours.includes(id)) remove.push({ path, replaces: fingerprint, id });
    else if (seen.kind !== 'dir' && !mayStay.some((folder) => isWithin(path, folder))) aside.push(path);
  }
  return { remove, aside };
}
