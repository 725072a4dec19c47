/**
 * Writes the laptop's copy of what a job sent: log bytes, their times, what is gone, and records; one folder per job below
 * `GPU_RUN_HOME/jobs`. Any number of processes that follow one job may write it at once: bytes go to their offsets, lines are
 * appended whole, and readers take each record and each mark once.
 */
import { closeSync, constants, existsSync, fstatSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { JobRecord } from '../core/job.ts';
import { ownIdentity } from '../core/process-identity.ts';
import { createMarker, formatMark, type LogGap, type LogProof, type LogStream, type Marker, parseMarks, type TimeMark } from '../protocol/log.ts';
import { appendLines, openLines, writeWhole } from './copy-lines.ts';
import { copiedGaps, copiedUpTo, copyFiles } from './job-copy.ts';
import { waitForLock } from './lock-file.ts';
import { cutLines, setAside } from './set-aside.ts';

export class JobCopy {
  readonly #jobsFolder: string;
  readonly #jobId: string;
  readonly #folder: string;
  readonly #records: number;
  readonly #streams = new Map<LogStream, StreamCopy>();
  #lastRecord = 0;

  constructor(jobsFolder: string, jobId: string) {
    this.#jobsFolder = jobsFolder;
    this.#jobId = jobId;
    this.#folder = join(jobsFolder, jobId);
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    this.#streams.set('out', openStream(this.#folder, 'out'));
    this.#records = openLines(join(this.#folder, 'journal.jsonl'));
    this.#lastRecord = copiedUpTo(jobsFolder, jobId);
  }

  /** Up to here every byte is there, or known to be gone. */
  logBytes(stream: LogStream): number {
    return fstatSync(this.#stream(stream).log).size;
  }

  /** Bytes beyond those that are missing are not kept: what is not there was never printed, or is noted as gone. */
  writeLog(stream: LogStream, offset: number, bytes: Uint8Array): void {
    const { log } = this.#stream(stream);
    const { size } = fstatSync(log);
    if (offset > size || offset + bytes.length <= size) return;
    writeWhole(log, bytes, offset);
  }

  /** The machine's log is not as it was `received`, and other bytes come from `at` on: those that are here go to a file beside it, once. */
  setAside(stream: LogStream, at: number, received: readonly LogProof[]): void {
    const open = this.#stream(stream);
    const files = copyFiles(this.#folder, stream);
    using _alone = waitForLock(this.#folder, 'set-aside.lock', ownIdentity()); // another follower comes back in the same moment
    const kept = copiedGaps(this.#jobsFolder, this.#jobId, stream).filter(({ from }) => from < at);
    if (setAside(open.log, files.log, at, received)) {
      cutLines(open.times, (line) => Number.parseInt(line, 10) > at);
      cutLines(open.gaps, (line) => Number(line.split(' ')[1]) > at);
      for (const { from, to } of kept) appendLines(open.gaps, `${from} ${Math.min(to, at)}\n`); // no line is left out because one before it is
    }
    this.#streams.set(stream, { ...open, ...markerOf(open.times) });
  }

  /** The machine has these bytes no more. What of them is here stays. */
  writeGap(stream: LogStream, { from, to }: LogGap): void {
    const { log, gaps } = this.#stream(stream);
    const { size } = fstatSync(log);
    if (from > size || to <= size) return;
    appendLines(gaps, `${size} ${to}\n`); // first: zeros are never taken for bytes
    writeSync(log, new Uint8Array(1), 0, 1, to - 1); // and never shorter: another follower may be further
  }

  /** Marks must follow those that are here without leaving any out. */
  writeTimes(stream: LogStream, marks: readonly TimeMark[]): void {
    const { marker } = this.#stream(stream);
    for (const [offset, ms] of marks) marker.look(offset, ms);
  }

  /** Up to where times are known. */
  timesTo(stream: LogStream): number {
    const { times } = copyFiles(this.#folder, stream);
    return this.#streams.has(stream) || existsSync(times) ? this.#stream(stream).timesTo : 0;
  }

  /** All at once; those that are here already are left out, and those behind a missing one. */
  writeRecords(records: readonly JobRecord[]): void {
    let last = this.#lastRecord;
    const lines = records.flatMap((record) => {
      if (record.n !== last + 1) return [];
      last = record.n;
      return [`${JSON.stringify(record)}\n`];
    });
    if (lines.length > 0) appendLines(this.#records, lines.join(''));
    this.#lastRecord = last;
  }

  close(): void {
    for (const { marker, log, gaps, times } of this.#streams.values()) {
      marker.flush();
      for (const fd of [log, gaps, times]) closeSync(fd);
    }
    closeSync(this.#records);
  }

  /** Most jobs have no stderr of their own: its files are made with its first byte. */
  #stream(stream: LogStream): StreamCopy {
    const open = this.#streams.get(stream) ?? openStream(this.#folder, stream);
    this.#streams.set(stream, open);
    return open;
  }
}

interface StreamCopy {
  readonly log: number;
  readonly gaps: number;
  readonly times: number;
  readonly marker: Marker;
  readonly timesTo: number;
}

const bytesOfMark = 20;

function openStream(folder: string, stream: LogStream): StreamCopy {
  const files = copyFiles(folder, stream);
  const log = openSync(files.log, constants.O_RDWR | constants.O_CREAT, 0o600);
  const times = openLines(files.times);
  return { log, gaps: openLines(files.gaps), times, ...markerOf(times) };
}

/** Goes on behind the marks that are there. */
function markerOf(times: number): Pick<StreamCopy, 'marker' | 'timesTo'> {
  const last = lastMark(times);
  const count = Math.floor(fstatSync(times).size / bytesOfMark);
  const marker = createMarker({ last, count, write: (mark) => appendLines(times, formatMark(mark)) });
  return { marker, timesTo: last?.[0] ?? 0 };
}

const tailBytes = 64 * 1024;

/** The furthest one: several followers may have written the last lines. */
function lastMark(fd: number): TimeMark | null {
  const { size } = fstatSync(fd);
  const from = Math.max(0, size - tailBytes);
  const tail = Buffer.alloc(size - from);
  const text = tail.toString('latin1', 0, readSync(fd, tail, 0, tail.length, from));
  return parseMarks(text.slice(from === 0 ? 0 : text.indexOf('\n') + 1), null).marks.at(-1) ?? null;
}
