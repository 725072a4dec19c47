/** The laptop's end of `push`: says what there is, sends what the machine asks for. May import core, protocol and `node:`. */

import type { Packing } from '../protocol/block-writer.ts';
import { PeerClosedError } from '../protocol/call-state.ts';
import { FrameError } from '../protocol/frame.ts';
import type { OpenCall, Part } from '../protocol/peer.ts';
import { type FileEntry, type FolderChange, inParts, type Offer, type PushParams, type PushResult, type PushSay } from '../protocol/sync.ts';
import { sendFiles } from '../protocol/sync-content-send.ts';
import { parseFields, parseList, parseNumber, parseOffer, parseText } from '../protocol/sync-parse.ts';
import { type LocalFile, localFiles } from './local-file.ts';
import { packingFor } from './packing.ts';
import { toSyncError } from './sync-error.ts';
import { pickFiles, type Tree } from './tree.ts';

/** Opens a call on the machine's runner. */
export type Open = (op: string, params: unknown) => OpenCall;

export interface TransferOptions {
  /** Where it is remembered of what large files are made. */
  readonly cacheFolder: string;
  readonly signal: AbortSignal;
  /** Bytes of content. */
  readonly onProgress: (done: number, total: number) => void;
  /** The files whose content is about to be sent. */
  readonly onNeeded?: (files: readonly FileEntry[]) => void;
}

export interface Transferred {
  readonly result: PushResult;
  readonly sentBytes: number;
  /** Files that changed all the time while they were sent, and such that vanished. */
  readonly torn: readonly string[];
  readonly gone: readonly string[];
}

/** What is to be there. `changes`: since the base that the params name; null where they name none. */
export interface Outgoing {
  readonly tree: Tree;
  readonly changes: readonly FolderChange[] | null;
}

export async function transfer(open: Open, params: PushParams, { tree, changes }: Outgoing, options: TransferOptions): Promise<Transferred> {
  return inCall(open('push', params), options.signal, async (call) => {
    if (changes !== null) await sayChanges(call, changes);
    const parts = call.parts()[Symbol.asyncIterator]();
    const asked = performance.now();
    const ask = await parts.next();
    const answeredMs = performance.now() - asked;
    if (ask.done === true) return { result: parseResult(await call.result), sentBytes: 0, torn: [], gone: [] };
    const answer = ask.value.kind === 'event' ? parseFields(ask.value.value) : {};
    const isWhole = answer['type'] === 'manifest';
    if (isWhole) await sayAll(call, tree);
    const { indices, offers } = await receiveNeeds(parts);
    const files = filesOf(indices, isWhole ? pickFiles(tree, indices) : filesIn(changes ?? []));
    options.onNeeded?.(files.map(({ entry }) => entry));
    const sent = await sendNeeded(call, files, offers, tree, packingFor(answer['unpacks'], answeredMs), options);
    const told = await parts.next();
    if (told.done === true) return { result: parseResult(await call.result), ...sent };
    if (told.value.kind !== 'event') throw new FrameError('the machine sends content during a push');
    const result = parseResult(parseFields(told.value.value)['result']);
    await confirm(call);
    return { result, ...sent };
  });
}

async function sayChanges(call: OpenCall, changes: readonly FolderChange[]): Promise<void> {
  for (const part of inParts(changes)) await call.event({ type: 'changes', changes: part } satisfies PushSay);
  await call.event({ type: 'changes-end' } satisfies PushSay);
}

async function sayAll(call: OpenCall, tree: Tree): Promise<void> {
  for (const entries of inParts(tree.entries())) await call.event({ type: 'entries', entries } satisfies PushSay);
  await call.event({ type: 'entries-end' } satisfies PushSay);
}

function filesIn(changes: readonly FolderChange[]): ReadonlyMap<number, FileEntry> {
  const entries = changes.flatMap(({ set }) => set);
  return new Map([...entries.entries()].filter((numbered): numbered is [number, FileEntry] => numbered[1].kind === 'file'));
}

interface Needed {
  readonly index: number;
  readonly entry: FileEntry;
}

function filesOf(needed: readonly number[], known: ReadonlyMap<number, FileEntry>): readonly Needed[] {
  return needed.map((index) => {
    const entry = known.get(index);
    if (entry === undefined) throw new FrameError('the machine asks for a file that is not in the manifest');
    return { index, entry };
  });
}

/** The push is complete by now. A machine that doesn't hear this only says the same once more next time. */
async function confirm(call: OpenCall): Promise<void> {
  try {
    await call.event({ type: 'told' } satisfies PushSay);
    await call.end();
    await call.result;
  } catch {
    return;
  }
}

/** Ends the call in any case, and says why it failed rather than that it is over. */
export async function inCall<T>(call: OpenCall, signal: AbortSignal, use: (call: OpenCall) => Promise<T>): Promise<T> {
  const cancel = () => call.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  if (signal.aborted) cancel();
  try {
    return await use(call);
  } catch (error) {
    const reason =
      error instanceof PeerClosedError
        ? await call.result.then(
            () => error,
            (failure: unknown) => failure,
          )
        : error;
    throw toSyncError(reason, signal);
  } finally {
    signal.removeEventListener('abort', cancel);
    call.cancel();
  }
}

/** Indices, and what the machine has of some of these files already. */
interface Needs {
  readonly indices: readonly number[];
  readonly offers: ReadonlyMap<number, Offer>;
}

async function receiveNeeds(parts: AsyncIterator<Part>): Promise<Needs> {
  const indices: number[] = [];
  const offers = new Map<number, Offer>();
  for (;;) {
    const { value: part, done } = await parts.next();
    if (done === true || part.kind !== 'event') throw new FrameError('the push ended before it said what it needs');
    const fields = parseFields(part.value);
    if (fields['type'] === 'need-end') return { indices, offers };
    if (fields['type'] === 'offer') for (const offer of parseList(fields['offers'], parseOffer)) offers.set(offer.index, offer);
    else indices.push(...parseList(fields['indices'], (index) => parseNumber(index)));
  }
}

async function sendNeeded(
  call: OpenCall,
  needed: readonly Needed[],
  offers: ReadonlyMap<number, Offer>,
  tree: Tree,
  packing: Packing | null,
  { onProgress, cacheFolder, signal }: TransferOptions,
) {
  const torn: string[] = [];
  const gone: string[] = [];
  const paths = new Map(needed.map(({ index, entry }) => [index, entry.path]));
  const files = needed.map(({ index, entry: { path, size, sha256 } }): LocalFile => {
    const { base = null, part = null } = offers.get(index) ?? {};
    return { index, size, announced: sha256, base, part, absolute: tree.absolute(path), stamp: null, made: tree.made(path) };
  });
  const total = files.reduce((sum, { size }) => sum + size, 0);
  let [sentBytes, done] = [0, 0];
  onProgress(0, total);
  await sendFiles(call, files, localFiles(cacheFolder, signal), {
    packing,
    onBytes: (sent, saved) => {
      sentBytes += sent;
      done += sent + saved;
      onProgress(Math.min(done, total), total);
    },
    onSent: ({ index }, sent) => {
      if (sent === null) gone.push(paths.get(index) ?? '');
      else if (sent.torn) torn.push(paths.get(index) ?? '');
    },
  });
  return { sentBytes, torn, gone };
}

function parseResult(value: unknown): PushResult {
  const { unchanged, kept, keptCount, keptIn, keptBefore, leftAlone, leftAloneCount } = parseFields(value);
  return {
    unchanged: unchanged === true,
    kept: parseList(kept, (item) => {
      const { path, to } = parseFields(item);
      return { path: parseText(path), to: parseText(to) };
    }),
    keptCount: parseNumber(keptCount),
    keptIn: parseText(keptIn),
    keptBefore: parseList(keptBefore, parseText),
    leftAlone: parseList(leftAlone, parseText),
    leftAloneCount: parseNumber(leftAloneCount),
  };
}
