/**
 * Keeps a job's log from filling the disk: the job never fails for what it prints. What is too much is taken out of the log's
 * middle, so that its first part (what was started, and how) and its newest part stay, and every offset with them.
 */
import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { LogGap } from '../src/protocol/log.ts';
import { isDiskFull } from './ballast.ts';
import { fileSize } from './job-files.ts';
import { readGap, writeGap } from './log-gap.ts';
import type { LogFiles } from './machine-folder.ts';
import { findPunchHole, type PunchHole } from './punch-hole.ts';

export interface LogLimit {
  /** One look; what has to be done goes on behind it. */
  look(): void;
  /** What whoever follows should know, as it stands. */
  warnings(): readonly string[];
  /** The disk could become too small within seconds: look often, also while nothing is printed. */
  readonly isTight: boolean;
  /** What was begun is done. */
  settled(): Promise<void>;
}

/** Where nobody has said anything else. */
export const defaultLimitBytes = 10 * 2 ** 30;
/** Of what would be free without the log, it takes at most this share. */
const shareOfFree = 0.5;
const firstPartBytes = 1024 * 1024;
const blockBytes = 4096;
const lookEveryMs = 100;
/** Below this share of free disk it is said, until there is a little more again. */
const lowShare = 0.05;
const enoughShare = 0.07;
/** A log that is larger than this share of what is free is worth a look each second. */
const tightShare = 0.25;

export interface LogLimitParts {
  /** Milliseconds; only goes forwards, also where somebody sets the clock. */
  readonly now?: () => number;
  readonly find?: (folder: string) => Promise<PunchHole | null>;
  /** Bytes of the disk that the log is on. */
  readonly disk?: (folder: string) => { readonly free: number; readonly total: number };
  /** For when there is no room left for what it takes to make some. */
  readonly reserve?: Reserve;
}

/** A little space that is set aside. */
export interface Reserve {
  free(): void;
  set(): void;
}

/** `limitBytes`: for all streams together. */
export function openLogLimit(streams: readonly LogFiles[], limitBytes: number, parts: LogLimitParts = {}): LogLimit {
  const { now = () => performance.now(), find = findPunchHole, disk = diskOf, reserve = null } = parts;
  const folder = dirname(streams[0]?.bytes ?? '.');
  let punch: PunchHole | null | undefined;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let working: Promise<void> | null = null;
  let isLow = false;
  let isTight = false;
  let isStuck = false;
  /** What made it too long; null: that was before us. */
  let cause: 'limit' | 'disk' | null = null;
  let hasPunched = streams.some((files) => readGap(files) !== null);
  /** Up to where each has been punched out by us. What was begun and not done, by a runner before us too, is done with the next part. */
  const punched = new Map<LogFiles, number>();
  let tookReserve = false;

  /** On a full disk there is no room to try a way out, nor to note what goes. */
  const withRoom = async <T>(write: () => T | Promise<T>): Promise<T> => {
    try {
      return await write();
    } catch (error) {
      if (reserve === null || !isDiskFull(error)) throw error;
      tookReserve = true;
      reserve.free();
      return await write();
    }
  };
  const shorten = async (files: LogFiles, gap: LogGap) => {
    if (punch === undefined) punch = await withRoom(() => find(folder));
    isStuck = punch === null;
    if (punch === null) return;
    await withRoom(() => writeGap(files, gap)); // first: zeros are never taken for what was printed
    hasPunched = true;
    await punch(files.bytes, punched.get(files) ?? gap.from, gap.to);
    punched.set(files, gap.to);
    if (tookReserve) reserve?.set();
    tookReserve = false;
  };
  const shortenAll = async (tasks: readonly { readonly files: LogFiles; readonly gap: LogGap }[]) => {
    for (const { files, gap } of tasks) await shorten(files, gap);
  };
  /** While there is room to try it. */
  const findEarly = async () => {
    punch = await find(folder);
  };

  return {
    look() {
      if (working !== null || now() - lookedAt < lookEveryMs) return;
      lookedAt = now();
      const { free, total } = disk(folder);
      isLow = free < total * (isLow ? enoughShare : lowShare);
      isTight = isLow || streams.reduce((sum, { bytes }) => sum + fileSize(bytes), 0) > free * tightShare;
      const tasks = streams.flatMap((files) => {
        const gap = tooMuch(fileSize(files.bytes), readGap(files), Math.floor(limitBytes / streams.length), free);
        if (gap === null) return [];
        cause ??= isTheDisk(fileSize(files.bytes), readGap(files), Math.floor(limitBytes / streams.length), free) ? 'disk' : 'limit';
        return [{ files, gap }];
      });
      const isEarly = tasks.length === 0 && punch === undefined && streams.some(({ bytes }) => fileSize(bytes) > firstPartBytes);
      if (tasks.length === 0 && !isEarly) return;
      working = (isEarly ? findEarly() : shortenAll(tasks))
        .catch(() => {}) // it is tried again at the next look, further on
        .finally(() => {
          working = null;
        });
    },
    get isTight() {
      return isTight;
    },
    warnings() {
      const outgrown = `The log has outgrown ${boundIn(cause, limitBytes)}`;
      return [
        ...(isLow ? ["Less than 5 % of the machine's disk is free: what fills it fails."] : []),
        ...(hasPunched
          ? [
              `${outgrown}: its first part and its newest stay on the machine, what lies between goes. Who follows has it already, unless it is printed faster than it can be sent.`,
            ]
          : []),
        ...(isStuck ? [`${outgrown}, and can't be shortened there: its file system, or a missing fallocate, does not allow it.`] : []),
      ];
    },
    settled: async () => working ?? undefined,
  };
}

/**
 * What has to go of a log of `size` bytes so that it takes no more than `limit`, and no more than what would be free without it;
 * null: nothing. More goes than has to, so that it is not done all the time.
 */
export function tooMuch(size: number, gone: LogGap | null, limit: number, free: number): LogGap | null {
  const kept = keptOf(size, gone);
  const allowed = Math.min(limit, roomFor(kept, free));
  if (kept <= allowed) return null;
  const from = gone?.from ?? wholeBlocks(Math.min(firstPartBytes, allowed / 8));
  const to = wholeBlocks(size - Math.max(0, allowed - allowed / 8 - from));
  return to - (gone?.to ?? from) < blockBytes ? null : { from, to };
}

function keptOf(size: number, gone: LogGap | null): number {
  return size - (gone === null ? 0 : gone.to - gone.from);
}

function roomFor(kept: number, free: number): number {
  return Math.floor((free + kept) * shareOfFree);
}

/** Whether the disk allows less than the limit does. */
function isTheDisk(size: number, gone: LogGap | null, limit: number, free: number): boolean {
  return roomFor(keptOf(size, gone), free) < limit;
}

function boundIn(cause: 'limit' | 'disk' | null, limitBytes: number): string {
  const limit = `its limit of ${limitText(limitBytes)}`;
  if (cause === 'limit') return limit;
  return cause === 'disk' ? "half of what the machine's disk has free without it" : `${limit}, or half of what the machine's disk has free without it`;
}

/** As people write limits. */
function limitText(bytes: number): string {
  if (bytes % 2 ** 30 === 0) return `${bytes / 2 ** 30} GiB`;
  return bytes % 2 ** 20 === 0 ? `${bytes / 2 ** 20} MiB` : `${Math.round(bytes / 1e5) / 10} MB`;
}

function wholeBlocks(bytes: number): number {
  return Math.floor(bytes / blockBytes) * blockBytes;
}

function diskOf(folder: string): { free: number; total: number } {
  try {
    const { bavail, blocks, bsize } = statfsSync(folder);
    return { free: bavail * bsize, total: blocks * bsize };
  } catch {
    return { free: Number.MAX_SAFE_INTEGER, total: 0 }; // a file system that does not tell
  }
}
