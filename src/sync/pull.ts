/**
 * Brings outputs from the machine into a local folder, each file verified and placed whole. Trusts the machine with nothing:
 * no name, link or size that it sends leads out of the folder. May import core, protocol and `node:`.
 */
import { realpathSync, statfsSync, statSync } from 'node:fs';
import { GpuRunError } from '../core/errors.ts';
import { formatSize } from '../core/size.ts';
import { FrameError } from '../protocol/frame.ts';
import { codecs } from '../protocol/packed.ts';
import type { OpenCall, Part } from '../protocol/peer.ts';
import { inParts, isWithin, type ListingEnd, outermost, type PullAsk, type PullItem, type PullParams, type Want } from '../protocol/sync.ts';
import { type FileDue, type Landing, type OpenLanding, receiveFiles } from '../protocol/sync-content.ts';
import { parseFields, parseList, parsePullItem, parseText, TreeCheck } from '../protocol/sync-parse.ts';
import { hashing } from './hashing.ts';
import { sha256Of } from './local-file.ts';
import { refuseNameClashes } from './name-clash.ts';
import { workdirPath } from './plan.ts';
import { gitFolderIn } from './pull-git-names.ts';
import { type LocalFolder, openLocalFolder } from './pull-place.ts';
import { inCall, type Open } from './transfer.ts';

export interface PulledFile {
  /** Relative to the workdir there and to the folder here. */
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface PullOptions {
  readonly open: Open;
  /** Files and folders, relative to the workdir. One that doesn't exist is only a warning. */
  readonly paths: readonly string[];
  /** Absolute; has to exist. */
  readonly into: string;
  /** Also what a push placed there and nobody changed; absent: false. */
  readonly pushedToo?: boolean;
  /** What is not pulled of what there is. */
  readonly leaveOut?: (item: PullItem) => boolean;
  /** What was last written before that (microseconds, by the machine's clock) and is here just so is not told; absent: all is told. */
  readonly toldSince?: number;
  readonly signal?: AbortSignal;
  /** Bytes of content. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Bytes of content that have travelled, as they come: without what was here already, with what came twice. */
  readonly onReceived?: (bytes: number) => void;
  /** Sentences for people. */
  readonly onWarning?: (text: string) => void;
}

type FileItem = Extract<PullItem, { kind: 'file' }>;
/** An item and its place in the machine's listing. */
type Listed = { readonly index: number; readonly item: PullItem };
type WantedFile = Want & { readonly item: FileItem };
type FileWanted = WantedFile & FileDue;

/**
 * All files below `paths` that the machine made or changed, those that were here already included; what a push placed there
 * and nobody changed is left out. Local files of the same names are replaced.
 * @throws GpuRunError `bad-input`, `sync` (also when parts could not be read there; all the rest has been pulled then),
 * `disk-full`, `connection`, `protocol`, `interrupted`
 */
export async function pullOutputs(options: PullOptions): Promise<readonly PulledFile[]> {
  const { into, onWarning = () => {} } = options;
  const signal = options.signal ?? new AbortController().signal;
  const paths = outermost(options.paths.map((path) => workdirPath(path, 'The output')));
  if (statSync(into, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new GpuRunError('bad-input', `Outputs can't be pulled into ${into}: it is no folder.`, { hints: ['Make the folder, or choose another one.'] });
  }
  const folder = openLocalFolder(realpathSync(into), paths);
  return inCall(options.open('pull', paramsOf(paths, options)), signal, async (call) => {
    const parts = call.parts()[Symbol.asyncIterator]();
    const { items: listed, end } = await receiveListing(parts, paths);
    const items = withoutGit(listed, onWarning).filter(({ item }) => options.leaveOut?.(item) !== true);
    for (const path of end.missing) onWarning(`${path} doesn't exist on the machine: nothing to pull`);
    for (const text of end.skipped) onWarning(`not pulled: ${text}`);
    refuseNameClashes(
      items.map(({ item }) => item.path),
      folder.top,
    );
    const wanted = await choose(items, folder, signal);
    refuseIfFull(wanted, folder.top);
    for (const { item } of items) if (item.kind === 'dir') folder.makeFolder(item.path);
    for (const wants of inParts(wanted.map(({ index, have }) => ({ index, have })))) await call.event({ type: 'want', wants } satisfies PullAsk);
    await call.event({ type: 'want-end' } satisfies PullAsk);
    const pulled = await receiveWanted(call, parts, wanted, folder, options);
    for (const { item } of items)
      if (item.kind === 'link' && !folder.placeLink(item.path, item.target))
        onWarning(`not pulled: the link ${item.path} -> ${item.target} leads out of the output, or to git's own files`);
    if (end.unreadable.length > 0) throw unreadableError(end.unreadable);
    return pulled;
  });
}

/** What there is to pull now. @throws as `pullOutputs` */
export async function listOutputs(options: Pick<PullOptions, 'open' | 'paths' | 'pushedToo'> & { readonly signal: AbortSignal }): Promise<readonly PullItem[]> {
  const paths = outermost(options.paths.map((path) => workdirPath(path, 'The output')));
  return inCall(options.open('pull', paramsOf(paths, options)), options.signal, async (call) => {
    const { items } = await receiveListing(call.parts()[Symbol.asyncIterator](), paths);
    await call.event({ type: 'want-end' } satisfies PullAsk);
    await call.end();
    await call.result;
    return items.map(({ item }) => item);
  });
}

function paramsOf(paths: readonly string[], { pushedToo = false }: Pick<PullOptions, 'pushedToo'>): PullParams {
  return pushedToo ? { paths, pushedToo, unpacks: codecs } : { paths, unpacks: codecs };
}

async function receiveListing(parts: AsyncIterator<Part>, paths: readonly string[]): Promise<{ items: Listed[]; end: Omit<ListingEnd, 'type'> }> {
  const items: Listed[] = [];
  const check = new TreeCheck();
  for (;;) {
    const { value: part, done } = await parts.next();
    if (done === true || part.kind !== 'event') throw new FrameError('the pull ended before its listing');
    const fields = parseFields(part.value);
    if (fields['type'] === 'listing-end') {
      const texts = (key: string) => parseList(fields[key], parseText);
      return { items, end: { missing: texts('missing'), skipped: texts('skipped'), unreadable: texts('unreadable') } };
    }
    for (const item of parseList(fields['items'], parsePullItem)) {
      if (!paths.some((path) => isWithin(item.path, path))) throw new FrameError(`${item.path} was listed and never asked for`);
      check.add(item);
      items.push({ index: items.length, item });
    }
  }
}

function withoutGit(items: readonly Listed[], onWarning: (text: string) => void): Listed[] {
  const refused = new Set(items.flatMap(({ item }) => gitFolderIn(item.path) ?? []));
  for (const path of refused) onWarning(`not pulled: ${path}, since git here would run what a machine puts there`);
  return items.filter(({ item }) => gitFolderIn(item.path) === null);
}

/** All files; those of a size that is here already with their hash, so that equal ones don't travel. */
async function choose(items: readonly Listed[], folder: LocalFolder, signal: AbortSignal): Promise<WantedFile[]> {
  const wanted: WantedFile[] = [];
  for (const { index, item } of items) {
    if (item.kind !== 'file') continue;
    const local = folder.existingFile(item.path, item.size);
    const have = local === null ? null : await sha256Of(local, signal);
    wanted.push({ index, item, have: have?.size === item.size ? have.sha256 : null });
  }
  return wanted;
}

function refuseIfFull(wanted: readonly WantedFile[], top: string): void {
  const needed = wanted.reduce((sum, { item, have }) => sum + (have === null ? item.size : 0), 0);
  const disk = statfsSync(top);
  const free = disk.bavail * disk.bsize;
  if (disk.blocks === 0 || needed <= free) return;
  throw new GpuRunError('disk-full', `The outputs need ${formatSize(needed)}, and only ${formatSize(free)} are free here (${top}). Nothing was pulled.`, {
    hints: ['Free space, then pull again.', 'Or pull single paths: gpu-run pull NAME PATH'],
  });
}

async function receiveWanted(
  call: OpenCall,
  parts: AsyncIterator<Part>,
  wanted: readonly WantedFile[],
  folder: LocalFolder,
  options: PullOptions,
): Promise<PulledFile[]> {
  const { toldSince = 0, onProgress = () => {}, onWarning = () => {}, onReceived = () => {} } = options;
  const pulled: PulledFile[] = [];
  const total = wanted.reduce((sum, { item }) => sum + item.size, 0);
  let done = 0;
  const over = ({ item }: FileWanted) => {
    done += item.size;
    onProgress(done, total);
  };
  onProgress(0, total);
  const open = (due: FileWanted): OpenLanding => {
    const file = folder.openFile(due.item);
    return {
      write: (bytes) => {
        onReceived(bytes.length);
        file.write(bytes);
      },
      place: ({ size, id, torn }) => {
        file.place();
        if (torn) onWarning(`${due.item.path} was being written to while it was pulled: it may have parts of different ages`);
        pulled.push({ path: due.item.path, bytes: size, sha256: id });
        over(due);
      },
      close: file.close,
    };
  };
  const landing: Landing<FileWanted> = {
    hashing,
    begin: () => {},
    pause: async () => {},
    open,
    whole: (due, bytes, told) => {
      const file = open(due);
      try {
        file.write(bytes);
        file.place(told, null);
      } finally {
        file.close();
      }
    },
    absent: (due, why) => {
      const { item, have } = due;
      if (why === 'gone') onWarning(`${item.path} vanished on the machine before it could be pulled`);
      else if (item.mtime >= toldSince) pulled.push(kept(item, have));
      over(due);
    },
  };
  const due = wanted.map((want): FileWanted => ({ ...want, announced: null, most: mostOf(want.item.size) }));
  await receiveFiles(parts, due, landing);
  await call.end();
  await call.result;
  return pulled;
}

/** A log may grow between its listing and its turn; a machine that lies about a size doesn't fill the disk here. */
function mostOf(listed: number): number {
  return Math.max(2 * listed, listed + 64 * 1024 * 1024);
}

function kept(item: FileItem, have: string | null): PulledFile {
  if (have === null) throw new FrameError(`${item.path} is not here, and the machine did not send it`);
  return { path: item.path, bytes: item.size, sha256: have };
}

function unreadableError(paths: readonly string[]): GpuRunError {
  return new GpuRunError(
    'sync',
    `${paths.length === 1 ? '1 output' : `${paths.length} outputs`} can't be read on the machine: ${paths.slice(0, 5).join(', ')}. The others were pulled.`,
    {
      hints: ['Make them readable there (gpu-run ssh NAME -- chmod -R u+rX PATH), then pull again.'],
    },
  );
}
