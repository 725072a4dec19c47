/**
 * The laptop's copy of what a job sent: log bytes and records, one folder per job below `GPU_RUN_HOME/jobs`. `logs` reads it
 * when the machine is gone. Written by offset, so that several followers of one job write the same bytes to the same place.
 */
import { closeSync, constants, existsSync, fstatSync, mkdirSync, openSync, readFileSync, readSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { GpuRunError } from '../core/errors.ts';
import type { JobRecord } from '../core/job.ts';

export class JobCopy {
  readonly #log: number;
  readonly #records: number;
  #lastRecord: number;

  constructor(jobsFolder: string, jobId: string) {
    const folder = join(jobsFolder, jobId);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const flags = constants.O_RDWR | constants.O_CREAT;
    this.#log = openSync(join(folder, 'log'), flags, 0o600);
    this.#records = openSync(join(folder, 'journal.jsonl'), flags | constants.O_APPEND, 0o600);
    this.#lastRecord = readRecords(join(folder, 'journal.jsonl')).at(-1)?.n ?? 0;
  }

  /** Bytes that are there without a gap. */
  get logBytes(): number {
    return fstatSync(this.#log).size;
  }

  /** Bytes beyond a gap are not kept: the copy never has holes. */
  writeLog(offset: number, bytes: Uint8Array): void {
    const size = this.logBytes;
    if (offset > size || offset + bytes.length <= size) return;
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#log, bytes, done, bytes.length - done, offset + done);
  }

  writeRecord(record: JobRecord): void {
    if (record.n !== this.#lastRecord + 1) return;
    writeSync(this.#records, `${JSON.stringify(record)}\n`);
    this.#lastRecord = record.n;
  }

  close(): void {
    closeSync(this.#log);
    closeSync(this.#records);
  }
}

export function hasCopy(jobsFolder: string, jobId: string): boolean {
  return existsSync(join(jobsFolder, jobId, 'log'));
}

/** How much of the log is here. */
export function copiedBytes(jobsFolder: string, jobId: string): number {
  return statSync(join(jobsFolder, jobId, 'log'), { throwIfNoEntry: false })?.size ?? 0;
}

/** Records in order, each number once; a torn last line is left out. */
export function copiedRecords(jobsFolder: string, jobId: string): JobRecord[] {
  return readRecords(join(jobsFolder, jobId, 'journal.jsonl'));
}

function readRecords(file: string): JobRecord[] {
  if (!existsSync(file)) return [];
  const byNumber = new Map<number, JobRecord>();
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    try {
      const record = JSON.parse(line) as JobRecord;
      if (!byNumber.has(record.n)) byNumber.set(record.n, record);
    } catch {
      // a line that was being written when the laptop died
    }
  }
  return [...byNumber.values()].sort((a, b) => a.n - b.n);
}

/** The copied log from `offset` on, in pieces. @throws GpuRunError bad-input beyond its end */
export function* copiedLog(jobsFolder: string, jobId: string, offset: number): Generator<{ offset: number; bytes: Uint8Array }> {
  const fd = openSync(join(jobsFolder, jobId, 'log'), 'r');
  try {
    const size = fstatSync(fd).size;
    if (offset > size) throw new GpuRunError('bad-input', `The log of ${jobId} has ${size} bytes; it can't be read from ${offset}.`);
    const buffer = new Uint8Array(256 * 1024);
    for (let at = offset; at < size; ) {
      const count = readSync(fd, buffer, 0, buffer.length, at);
      if (count === 0) return;
      yield { offset: at, bytes: buffer.slice(0, count) };
      at += count;
    }
  } finally {
    closeSync(fd);
  }
}
