/** The machine's end of `pull`: lists outputs and sends the ones that the laptop wants. May import protocol and `node:`. */
import fs, { accessSync, constants, lstatSync, readdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { Packing } from '../src/protocol/block-writer.ts';
import { FrameError } from '../src/protocol/frame.ts';
import { createPackPace } from '../src/protocol/pack-pace.ts';
import type { Call } from '../src/protocol/peer.ts';
import { createFileReading } from '../src/protocol/read-file.ts';
import type { ContentDisk, FileToSend } from '../src/protocol/send-records.ts';
import { checkpointSource, inParts, outermost, type PullItem, type PullSay, pathProblem, temporaryPrefix, toMtime, type Want } from '../src/protocol/sync.ts';
import { sendFiles } from '../src/protocol/sync-content-send.ts';
import { parseFields, parseFolder, parseList, parseWant } from '../src/protocol/sync-parse.ts';
import { crc32 } from './checksum.ts';
import { type Fetched, lookOf, readFetched } from './fetch-record.ts';
import { hashing } from './hashing.ts';
import { packer } from './pack.ts';
import { RunnerError } from './runner-error.ts';
import { errorCode, hashFile, hashWhole, look, readTarget, toFailure } from './sync-disk.ts';
import type { Records } from './sync-records.ts';
import { loadState, stateSuffix } from './sync-state.ts';
import { createYoungGarbage } from './young-garbage.ts';

interface Listing {
  readonly items: PullItem[];
  /** Where each item really lies. */
  readonly absolute: string[];
  readonly missing: string[];
  readonly skipped: string[];
  readonly unreadable: string[];
}

/** Nobody reads more than that, and a message has an end. */
const mostSaid = 1000;

type Pushed = readonly Records[];

export async function sendOutputs(call: Call, machine: { readonly root: string; readonly workdir: string }): Promise<Record<string, never>> {
  try {
    const paths = outermost(parseList(parseFields(call.params)['paths'], parseFolder));
    const pushedToo = parseFields(call.params)['pushedToo'] === true;
    const pushed: Pushed = pushedToo ? [] : readPushed(join(machine.root, 'sync'));
    const fetched = pushedToo ? new Map<string, Fetched>() : readFetched(machine.root);
    const listing = await list(paths, machine.workdir, { pushed, fetched, signal: call.signal });
    for (const items of inParts(listing.items)) await call.event({ type: 'listing', items } satisfies PullSay);
    const { missing, skipped, unreadable } = listing;
    await call.event({ type: 'listing-end', missing, skipped: skipped.slice(0, mostSaid), unreadable: unreadable.slice(0, mostSaid) } satisfies PullSay);
    const packing = packingFor(parseFields(call.params)['unpacks']);
    await answer(call, await receiveWants(call, listing.items.length), listing, packing);
    return {};
  } catch (error) {
    throw error instanceof FrameError ? new RunnerError('protocol', error.message) : toFailure(error);
  }
}

/** What all sources of code and data have placed here. */
function readPushed(records: string): Pushed {
  let names: string[];
  try {
    names = readdirSync(records).filter((name) => name.endsWith(stateSuffix) && !name.startsWith(checkpointSource));
  } catch {
    return []; // nothing was ever pushed
  }
  return names.map((name) => loadState(join(records, name)).placed);
}

async function list(paths: readonly string[], workdir: string, what: Omit<Walk, 'listing' | 'seen'>): Promise<Listing> {
  const listing: Listing = { items: [], absolute: [], missing: [], skipped: [], unreadable: [] };
  const seen = new Set<string>();
  for (const path of paths) {
    let top: string;
    try {
      top = realpathSync(join(workdir, path)); // a big disk is often linked into the place of an output: what was asked for by name is followed
    } catch (error) {
      if (isGone(error)) listing.missing.push(path);
      else if (isDenied(error)) listing.unreadable.push(path === '' ? '.' : path);
      else throw error;
      continue;
    }
    await listBelow(top, path, { ...what, listing, seen });
  }
  return listing;
}

interface Walk {
  readonly listing: Listing;
  readonly pushed: Pushed;
  /** What the machine has fetched by itself. */
  readonly fetched: ReadonlyMap<string, Fetched>;
  readonly seen: Set<string>;
  readonly signal: AbortSignal;
}

/** A folder can be readable while nothing in it can be looked at: what is denied is said, and all the rest goes on. */
async function listBelow(absolute: string, path: string, walk: Walk): Promise<void> {
  try {
    await listOne(absolute, path, walk);
  } catch (error) {
    if (!isDenied(error)) throw error;
    walk.listing.unreadable.push(path === '' ? '.' : path);
  }
}

async function listOne(absolute: string, path: string, walk: Walk): Promise<void> {
  const { listing } = walk;
  const seen = look(absolute);
  if (seen === null || walk.seen.has(path)) return;
  walk.seen.add(path);
  if (path !== '' && pathProblem(path) !== null) listing.skipped.push(`${path}: ${pathProblem(path)}`);
  else if (seen.kind === 'dir') {
    if (path !== '') add({ kind: 'dir', path, mode: seen.mode, mtime: mtimeOf(absolute) }, absolute, listing);
    for (const name of namesIn(absolute, path, listing)) await listBelow(join(absolute, name), path === '' ? name : `${path}/${name}`, walk);
  } else if (seen.kind === 'link') {
    const target = readTarget(absolute);
    if (target === null) listing.skipped.push(`${path}: a link whose target isn't text`);
    else if (!(await isPushed(path, absolute, walk))) add({ kind: 'link', path, target }, absolute, listing);
  } else if (seen.kind === 'other') listing.skipped.push(`${path}: neither a file, a folder nor a link`);
  else if (!isReadable(absolute)) listing.unreadable.push(path);
  else if (!(await isPushed(path, absolute, walk))) add({ kind: 'file', path, mode: seen.mode, mtime: mtimeOf(absolute), size: seen.size }, absolute, listing);
}

function isGone(error: unknown): boolean {
  return errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR';
}

function isDenied(error: unknown): boolean {
  return errorCode(error) === 'EACCES' || errorCode(error) === 'EPERM';
}

/** Of the whole. null: it isn't that file any more. */
async function sha256Of(absolute: string, signal: AbortSignal): Promise<string | null> {
  try {
    return (await hashWhole(absolute, signal))?.sha256 ?? null;
  } catch (error) {
    if (isGone(error) || isDenied(error) || errorCode(error) === 'EISDIR') return null;
    throw error;
  }
}

/** null: it isn't that file any more. */
async function identify(absolute: string, signal: AbortSignal): ReturnType<typeof hashFile> {
  try {
    return await hashFile(absolute, signal);
  } catch (error) {
    if (isGone(error) || isDenied(error) || errorCode(error) === 'EISDIR') return null;
    throw error;
  }
}

function add(item: PullItem, absolute: string, listing: Listing): void {
  listing.items.push(item);
  listing.absolute.push(absolute);
}

function isReadable(absolute: string): boolean {
  try {
    accessSync(absolute, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

function mtimeOf(absolute: string): number {
  return toMtime(lstatSync(absolute, { bigint: true, throwIfNoEntry: false })?.mtimeNs ?? 0n);
}

/** A source file that a push placed, or a fetch, and nobody changed is no output. */
async function isPushed(path: string, absolute: string, walk: Walk): Promise<boolean> {
  const fetched = walk.fetched.get(path);
  if (fetched !== undefined && fetched.look === lookOf(absolute)) return true;
  const placed = walk.pushed.map((records) => records.get(path)).findLast((known) => known !== undefined);
  if (placed === undefined || placed.ours.length === 0 || look(absolute)?.fingerprint !== placed.fingerprint) return false;
  if (placed.settled) return true;
  const target = readTarget(absolute);
  const id = target === null ? (await identify(absolute, walk.signal))?.id : `link:${target}`;
  return id !== undefined && placed.ours.includes(id);
}

function namesIn(absolute: string, path: string, listing: Listing): string[] {
  let names: string[];
  try {
    names = readdirSync(absolute).sort();
    if (names.some((name) => name.includes('\uFFFD'))) names = readableNames(absolute, path, listing);
  } catch (error) {
    if (!isGone(error)) throw error;
    return [];
  }
  return names.filter((name) => !name.startsWith(temporaryPrefix));
}

/** Node writes U+FFFD for bytes that aren't UTF-8: such a name leads nowhere. */
function readableNames(absolute: string, path: string, listing: Listing): string[] {
  const names: string[] = [];
  for (const bytes of readdirSync(absolute, 'buffer')) {
    const name = bytes.toString('utf8');
    if (Buffer.from(name, 'utf8').equals(bytes)) names.push(name);
    else listing.skipped.push(`${path === '' ? '' : `${path}/`}${name}: its name isn't UTF-8`);
  }
  return names.sort();
}

async function receiveWants(call: Call, items: number): Promise<Want[]> {
  const wants: Want[] = [];
  for await (const part of call.parts()) {
    if (part.kind !== 'event') throw new FrameError('a pull sends no content');
    const fields = parseFields(part.value);
    if (fields['type'] === 'want-end') return wants;
    wants.push(...parseList(fields['wants'], parseWant));
    if (wants.some(({ index }) => index >= items)) throw new FrameError('a pull wants a file that was never listed');
  }
  throw new FrameError('the pull ended before it said what it wants');
}

function packingFor(wanted: unknown): Packing | null {
  const way = packer(wanted);
  return way === null ? null : { packer: way, pace: createPackPace(), crc32, garbage: createYoungGarbage() };
}

interface Output extends FileToSend {
  readonly absolute: string;
}

const reading = createFileReading(fs, ['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES', 'EPERM']);

const outputFiles: ContentDisk<Output> = {
  hashing,
  readSmall: ({ absolute }, into) => reading.readSmall(absolute, null, into),
  open: ({ absolute }) => reading.open(absolute),
  chunks: null,
  pause: async () => {},
};

/** `have`: what the laptop has already of the files that are named here. */
async function answer(call: Call, wants: readonly Want[], { items, absolute }: Listing, packing: Packing | null): Promise<void> {
  const have = new Map(wants.map((want) => [want.index, want.have]));
  const files = wants.map(({ index }): Output => {
    const item = items[index];
    return { index, size: item?.kind === 'file' ? item.size : 0, announced: null, base: null, part: null, absolute: absolute[index] ?? '' };
  });
  const isSame = async ({ index, absolute: path }: Output) => {
    call.signal.throwIfAborted();
    const sha256 = have.get(index) ?? null;
    return sha256 !== null && (await sha256Of(path, call.signal)) === sha256;
  };
  await sendFiles(call, files, outputFiles, { packing, isSame });
}
