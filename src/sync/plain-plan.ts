/**
 * What a push by rsync or SFTP has to do: compares what is to be there with what is, and with what earlier ones placed, as far as size
 * and time tell. The rules are those of the runner: what the machine made or changed is moved aside or left alone, and only what
 * earlier pushes placed is deleted. May import core and protocol.
 */
import { isWithin, parentOf } from '../protocol/sync.ts';
import type { PlainChange, PlainSeen } from './plain-peer.ts';
import type { Found } from './scan.ts';

/** What a push placed at a path. */
export type PlainFact =
  | { readonly kind: 'file'; readonly size: number /** Whole seconds. */; readonly mtime: number }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'dir' };

/** Several facts of one path: a push that was cut may have placed either. */
export type PlainRecord = ReadonlyMap<string, readonly PlainFact[]>;

export interface PlainPlan {
  /** First removals, then what is moved aside. */
  readonly changes: readonly PlainChange[];
  readonly send: readonly Found[];
  /** Outputs of the machine that differ, and what would lie below them. */
  readonly leftAlone: readonly string[];
  /** Moved aside. */
  readonly aside: readonly string[];
  /** What counts as placed while this goes on, and once it is done. */
  readonly during: PlainRecord;
  readonly after: PlainRecord;
}

export interface PlainPlanInput {
  readonly found: readonly Found[];
  readonly seen: ReadonlyMap<string, PlainSeen>;
  readonly record: PlainRecord;
  /** Relative to the workdir, as in `PushParams`. */
  readonly outputs: readonly string[];
  readonly others: readonly string[];
}

export function planPlainPush(input: PlainPlanInput): PlainPlan {
  const { found, record } = input;
  const draft: Draft = {
    ...input,
    removed: new Set(),
    absent: new Set(),
    blocked: new Set(),
    changes: [],
    send: [],
    leftAlone: [],
    moved: [],
    after: new Map(),
  };
  planRemovals(draft);
  for (const entry of found) planEntry(entry, draft);
  const aside = withoutInner(draft.moved);
  const during = new Map(record);
  for (const [path, facts] of draft.after) during.set(path, [...(record.get(path) ?? []), ...facts]);
  const { send, leftAlone, after } = draft;
  return { changes: [...draft.changes, ...aside.map((path): PlainChange => ({ op: 'aside', path }))], send, leftAlone, aside, during, after };
}

interface Draft extends PlainPlanInput {
  readonly removed: Set<string>;
  /** Folders in which nothing is: they come, or replace something else. */
  readonly absent: Set<string>;
  /** Left alone, or below something that is. */
  readonly blocked: Set<string>;
  readonly changes: PlainChange[];
  readonly send: Found[];
  readonly leftAlone: string[];
  readonly moved: string[];
  readonly after: Map<string, readonly PlainFact[]>;
}

/** Deepest first. */
function planRemovals({ found, seen, record, outputs, others, removed, changes, moved }: Draft): void {
  const wanted = new Set(found.map(({ path }) => path));
  const mayStay = [...outputs, ...others];
  for (const path of [...record.keys()].sort().reverse()) {
    const here = seen.get(path);
    if (wanted.has(path) || here === undefined) continue;
    if (isOurs(path, here, record)) {
      changes.push({ op: here.kind === 'dir' ? 'rmdir' : 'remove', path });
      removed.add(path);
    } else if (here.kind !== 'dir' && !mayStay.some((folder) => isWithin(path, folder))) moved.push(path);
  }
}

function planEntry(entry: Found, draft: Draft): void {
  const { seen, record, outputs, absent, blocked, after } = draft;
  const { path } = entry;
  if (blocked.has(parentOf(path))) return void blocked.add(path);
  const here = absent.has(parentOf(path)) ? undefined : seen.get(path);
  if (here !== undefined && isSame(entry, here, record)) {
    if (record.has(path)) after.set(path, [factOf(entry)]);
    return;
  }
  if (here !== undefined && !isOurs(path, here, record) && outputs.some((output) => isWithin(path, output))) {
    draft.leftAlone.push(path);
    blocked.add(path);
    return;
  }
  if (here !== undefined) makeRoom(entry, here, draft);
  if (entry.kind === 'dir') absent.add(path);
  draft.send.push(entry);
  after.set(path, [factOf(entry)]);
}

/** A file or link of ours is replaced by renaming; all else has to go before. */
function makeRoom({ path, kind }: Found, here: PlainSeen, { seen, record, removed, changes, moved }: Draft): void {
  const isEmptied = here.kind === 'dir' && [...seen.keys()].every((each) => parentOf(each) !== path || removed.has(each));
  if (isEmptied) changes.push({ op: 'rmdir', path });
  else if (here.kind === 'dir' || !isOurs(path, here, record)) moved.push(path);
  else if (kind === 'dir') changes.push({ op: 'remove', path });
}

/** Without what lies below another one. */
function withoutInner(paths: readonly string[]): string[] {
  const all = new Set(paths);
  const isCovered = (path: string): boolean => path !== '' && (all.has(path) || isCovered(parentOf(path)));
  return paths.filter((path) => !isCovered(parentOf(path)));
}

function factOf(entry: Found): PlainFact {
  if (entry.kind === 'file') return { kind: 'file', size: entry.size, mtime: seconds(entry.mtime) };
  return entry.kind === 'link' ? { kind: 'link', target: entry.target } : { kind: 'dir' };
}

/** Of a link, only that there is one can be seen. */
function isSame(entry: Found, here: PlainSeen, record: PlainRecord): boolean {
  if (entry.kind !== here.kind) return false;
  if (entry.kind === 'file') return entry.size === here.size && seconds(entry.mtime) === here.mtime;
  if (entry.kind === 'dir') return true;
  const facts = record.get(entry.path) ?? [];
  return facts.length > 0 && facts.every((fact) => fact.kind === 'link' && fact.target === entry.target);
}

export function isOurs(path: string, here: PlainSeen, record: PlainRecord): boolean {
  return (record.get(path) ?? []).some((fact) => fact.kind === here.kind && (fact.kind !== 'file' || (fact.size === here.size && fact.mtime === here.mtime)));
}

/** SFTP and rsync's lists know whole seconds. */
function seconds(microseconds: number): number {
  return Math.floor(microseconds / 1e6);
}
