/**
 * Writes the laptop's copy of what a job sent: log bytes, their times, what is gone, and records; one folder per job below
 * `GPU_RUN_HOME/jobs`. Any number of processes that follow one job may write it at once: bytes go to their offsets, lines are
 * appended whole, and readers take each record and each mark once.
 */
import { closeSync, constants, existsSync, fstatSync, ftruncateSync, mkdirSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { JobRecord } from '../core/job.ts';
import { createMarker, formatMark, type LogGap, type LogStream, type Marker, parseMarks, type TimeMark } from '../protocol/log.ts';
import { copiedRecords, copyFiles } from './job-copy.ts';

export class JobCopy {
  readonly #folder: string;
  readonly #records: number;
  readonly #streams = new Map<LogStream, StreamCopy>();
  #lastRecord = 0;

  constructor(jobsFolder: string, jobId: string) {
    this.#folder = join(jobsFolder, jobId);
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    this.#streams.set('out', openStream(this.#folder, 'out'));
    this.#records = openLines(join(this.#folder, 'journal.jsonl'));
    for (const { n } of copiedRecords(jobsFolder, jobId)) this.#lastRecord = n;
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
    for (let done = 0; done < bytes.length; ) done += writeSync(log, bytes, done, bytes.length - done, offset + done);
  }

  /** The machine's log has become shorter, and other bytes come from `at` on: those that are here go to a file beside it. */
  setAside(stream: LogStream, at: number): void {
    const { log } = this.#stream(stream);
    const { size } = fstatSync(log);
    if (size <= at) return;
    const lost = new Uint8Array(size - at);
    const length = readSync(log, lost, 0, lost.length, at);
    writeFileSync(`${copyFiles(this.#folder, stream).log}.lost-at-${at}`, lost.subarray(0, length), { mode: 0o600 });
    ftruncateSync(log, at);
  }

  /** The machine has these bytes no more. What of them is here stays. */
  writeGap(stream: LogStream, { from, to }: LogGap): void {
    const { log, gaps } = this.#stream(stream);
    const { size } = fstatSync(log);
    if (from > size || to <= size) return;
    writeSync(gaps, `${size} ${to}\n`); // first: zeros are never taken for bytes
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
    if (lines.length > 0) writeSync(this.#records, lines.join(''));
    this.#lastRecord = last;
  }

  close(): void {
    for (const { marker, fds } of this.#streams.values()) {
      marker.flush();
      for (const fd of fds) closeSync(fd);
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
  readonly marker: Marker;
  readonly timesTo: number;
  readonly fds: readonly number[];
}

const bytesOfMark = 20;

function openStream(folder: string, stream: LogStream): StreamCopy {
  const files = copyFiles(folder, stream);
  const log = openSync(files.log, constants.O_RDWR | constants.O_CREAT, 0o600);
  const gaps = openLines(files.gaps);
  const times = openLines(files.times);
  const last = lastMark(times);
  const count = Math.floor(fstatSync(times).size / bytesOfMark);
  const marker = createMarker({ last, count, write: (mark) => void writeSync(times, formatMark(mark)) });
  return { log, gaps, marker, timesTo: last?.[0] ?? 0, fds: [log, gaps, times] };
}

/** For appending lines. What a crash left of one is ended, so that the next is not glued to it. */
function openLines(file: string): number {
  const fd = openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_APPEND, 0o600);
  const { size } = fstatSync(fd);
  const end = new Uint8Array(1);
  if (size > 0 && readSync(fd, end, 0, 1, size - 1) === 1 && end[0] !== 0x0a) writeSync(fd, '\n');
  return fd;
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
