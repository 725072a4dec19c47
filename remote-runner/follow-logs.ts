/** What `follow` sends of a job's log: blocks of one stream or two, when they came, and what is gone. */
import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { basename } from 'node:path';
import type { Call } from '../src/protocol/call-state.ts';
import type { Calls } from '../src/protocol/calls.ts';
import { blockBytes } from '../src/protocol/frame.ts';
import type { JobRecord } from '../src/protocol/job.ts';
import type { LogProof, LogStream, TimeMark } from '../src/protocol/log.ts';
import { differsFrom } from './follow-proof.ts';
import { fileSize } from './job-files.ts';
import { noteReached } from './log-cut.ts';
import { readGap } from './log-gap.ts';
import { type MarkReader, readMarks } from './log-times.ts';
import { type JobFolder, type LogFiles, logFiles } from './machine-folder.ts';
import { blockSender } from './send-blocks.ts';

export interface Logs {
  /** How far stdout's log was sent. */
  readonly at: number;
  /** Tells of streams that are not what the follower has of them. */
  compare(): Promise<void>;
  /** So many bytes of each stream at most, and no further than they reach now; true when there are more. */
  sendPortion(bytes: number): Promise<boolean>;
  /**
   * Before it returns: what has just come to the file of this name, where that is little and all there is to tell. False: it was not; look
   * at everything. Only right after a look at everything, and when nothing but this file has changed since.
   */
  sendNow(name: string): boolean;
  /** Up to where the record stands; null: all. */
  sendUpTo(place: Extract<JobRecord, { readonly type: 'state' }> | null): Promise<void>;
  /** How long to sleep at most before the next look. */
  lookAgainMs(): number;
  close(): void;
}

/** Whatever happens is heard of: this is for what was missed. */
const lookAgainMs = 5_000;
/** For whoever watches the job to mark what was sent. After that we say ourselves when we saw it. */
const markWithinMs = 150;

export function openLogs(call: Call, { logOffset, errOffset, only, times, follow, proofs, packed }: Calls['follow']['params'], job: JobFolder): Logs {
  let current: LogStream = 'out';
  const choose = async (stream: LogStream) => {
    if (stream !== current) await call.event({ type: 'stream', stream });
    current = stream;
  };
  const outOf = (stream: LogStream, from: number) => openLog({ call, packed, choose }, logFiles(job, stream), from, times?.[stream] ?? null);
  const out = outOf('out', logOffset);
  const both = errOffset === undefined ? [out] : [out, outOf('err', errOffset)];
  const all = both.filter(({ files }) => only === undefined || files.stream === only);
  return {
    get at() {
      return out.at;
    },
    async compare() {
      for (const log of all) await log.compare(proofs?.[log.files.stream] ?? []);
    },
    async sendPortion(bytes) {
      let isMore = false;
      for (const log of all) {
        const size = fileSize(log.files.bytes);
        log.heed(size);
        await log.sendUpTo(Math.min(log.at + bytes, size), follow);
        isMore ||= log.at < size;
      }
      return isMore;
    },
    sendNow(name) {
      const log = all.find(({ files }) => basename(files.bytes) === name);
      return log !== undefined && log.files.stream === current && log.sendNow();
    },
    async sendUpTo(place) {
      for (const log of all) await log.sendUpTo(place === null ? Number.MAX_SAFE_INTEGER : ((log === out ? place.logOffset : place.errOffset) ?? 0), false);
    },
    lookAgainMs: () => (all.some(({ awaitsMark }) => awaitsMark) ? markWithinMs : lookAgainMs),
    close() {
      for (const log of all) log.close();
    },
  };
}

interface Follower {
  readonly call: Call;
  readonly packed: Calls['follow']['params']['packed'];
  readonly choose: (stream: LogStream) => Promise<void>;
}

/** More than this at once is no line that somebody waits for. */
const freshBytes = 8 * 1024;

interface Log {
  readonly files: LogFiles;
  readonly at: number;
  readonly awaitsMark: boolean;
  compare(proofs: readonly LogProof[]): Promise<void>;
  /** How long it is now: shorter than what was sent of it, and whoever watches the job has to hear of it. */
  heed(size: number): void;
  /** See `Logs`. */
  sendNow(): boolean;
  /** Sends what is there up to this offset, and the times. `live`: what has no mark yet has just come. */
  sendUpTo(offset: number, live: boolean): Promise<void>;
  close(): void;
}

function openLog({ call, packed, choose }: Follower, files: LogFiles, from: number, knownTimes: number | null): Log {
  const { stream } = files;
  const sendBlock = blockSender(call, packed);
  const times = knownTimes === null ? null : openTimes(call, files, knownTimes);
  const fresh = Buffer.alloc(freshBytes);
  let fd: number | null = null;
  let at = from;
  let reached = 0;
  let noted = 0;
  return {
    files,
    get at() {
      return at;
    },
    get awaitsMark() {
      return times?.awaitsMark(at) === true;
    },
    async compare(proofs) {
      const from = differsFrom(files, proofs);
      if (from === null) return;
      await call.event({ type: 'differs', stream, from });
      at = from;
    },
    heed(size) {
      if (size >= reached || noted === reached) return;
      noted = reached;
      noteReached(files, reached);
    },
    sendNow() {
      if (fd === null) return false;
      const length = readSync(fd, fresh, 0, fresh.length, at);
      if (length === 0 || length === fresh.length || readGap(files) !== null || !call.blockNow(at, fresh.subarray(0, length))) return false;
      at += length;
      reached = at;
      return true;
    },
    async sendUpTo(offset, live) {
      if (fd === null && at < offset && existsSync(files.bytes)) fd = openSync(files.bytes, 'r');
      while (fd !== null && at < offset && !call.signal.aborted) {
        await times?.send(at + blockBytes);
        const block = await sendBlock.next(offset - at);
        const bytesRead = readSync(fd, block, 0, Math.min(block.length, offset - at), at); // in another thread, a line's way would be twice as long
        if (bytesRead === 0) break;
        const gap = readGap(files); // after the bytes: what it does not name was there when we read it
        if (gap !== null && at >= gap.from && at < gap.to) {
          await call.event({ type: 'gap', stream, from: at, to: gap.to });
          at = gap.to;
          continue;
        }
        const length = gap !== null && at < gap.from ? Math.min(bytesRead, gap.from - at) : bytesRead;
        await choose(stream);
        sendBlock.send(at, block.subarray(0, length));
        at += length;
        reached = at;
      }
      await sendBlock.sent();
      await times?.send(at);
      if (live) await times?.mark(at);
    },
    close() {
      times?.close();
      if (fd !== null) closeSync(fd);
    },
  };
}

interface Times {
  /** Sends the marks that there are of bytes up to `offset`, sent or yet to be sent. */
  send(offset: number): Promise<void>;
  /** Makes a mark of our own when nobody has made one of the bytes before `at` for a while. */
  mark(at: number): Promise<void>;
  awaitsMark(at: number): boolean;
  close(): void;
}

function openTimes(call: Call, { stream, times }: LogFiles, known: number): Times {
  const reader: MarkReader = readMarks(times);
  let last: TimeMark = [known, 0];
  let unsent: readonly TimeMark[] = [];
  let unmarked: TimeMark | null = null;
  return {
    async send(offset) {
      while (last[0] < offset) {
        if (unsent.length === 0) unsent = reader.read();
        if (unsent.length === 0) break;
        const count = unsent.findIndex((mark) => mark[0] >= offset) + 1 || unsent.length;
        const marks = unsent.slice(0, count).filter((mark) => mark[0] > last[0]);
        unsent = unsent.slice(count);
        last = marks.at(-1) ?? last;
        if (marks.length > 0) await call.event({ type: 'times', stream, marks });
      }
    },
    async mark(at) {
      if (last[0] >= at) unmarked = null;
      else if (unmarked === null || unmarked[0] <= last[0]) unmarked = [at, Date.now()];
      else if (Date.now() - unmarked[1] >= markWithinMs) {
        last = [unmarked[0], Math.max(unmarked[1], last[1])];
        unmarked = null;
        await call.event({ type: 'times', stream, marks: [last] });
      }
    },
    awaitsMark: (at) => last[0] < at,
    close: () => reader.close(),
  };
}
