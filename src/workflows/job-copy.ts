/**
 * Reads the laptop's copy of what a job sent (see `write-copy.ts`): `logs` shows it when the machine is gone. Nothing is ever read
 * into memory whole, however long the job was.
 */
import { closeSync, existsSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { GpuRunError } from '../core/errors.ts';
import type { JobRecord } from '../core/job.ts';
import { type LogGap, type LogStream, parseMarks, type TimeMark } from '../protocol/log.ts';
import type { LogSource } from '../protocol/log-place.ts';

/** Where the copy of one stream lies. `times`: lines of `formatMark`; `gaps`: lines `from to`. */
export function copyFiles(folder: string, stream: LogStream): { readonly log: string; readonly times: string; readonly gaps: string } {
  const log = join(folder, stream === 'out' ? 'log' : 'err');
  return { log, times: `${log}.times`, gaps: `${log}.gaps` };
}

export function hasCopy(jobsFolder: string, jobId: string): boolean {
  return existsSync(join(jobsFolder, jobId, 'log'));
}

/** How much of the log is here: up to there every byte, but for those in `copiedGaps`. */
export function copiedBytes(jobsFolder: string, jobId: string, stream: LogStream): number {
  return statSync(copyFiles(join(jobsFolder, jobId), stream).log, { throwIfNoEntry: false })?.size ?? 0;
}

/** How much of its records is here. */
export function journalBytes(jobsFolder: string, jobId: string): number {
  return statSync(join(jobsFolder, jobId, 'journal.jsonl'), { throwIfNoEntry: false })?.size ?? 0;
}

/** Records in order, each number once, up to the first that is missing; a torn line is left out. */
export function* copiedRecords(jobsFolder: string, jobId: string): Generator<JobRecord> {
  let last = 0;
  for (const line of linesOf(join(jobsFolder, jobId, 'journal.jsonl'))) {
    const record = parseRecord(line);
    if (record?.n !== last + 1) continue;
    last = record.n;
    yield record;
  }
}

/** The newest record, without a look at the others; null: there is none. */
export function lastCopiedRecord(jobsFolder: string, jobId: string): JobRecord | null {
  for (const line of tailLines(jobsFolder, jobId).lines.toReversed()) {
    const record = parseRecord(line);
    if (record !== null) return record;
  }
  return null;
}

/** Up to which number every record is here. Where the end of the file is whole, so is what was written before it: then the rest is not read. */
export function copiedUpTo(jobsFolder: string, jobId: string): number {
  const { lines, isAll } = tailLines(jobsFolder, jobId);
  let last = isAll ? 0 : null;
  for (const line of lines) {
    const n = line === '' ? last : (parseRecord(line)?.n ?? null);
    if (n === null || n > (last ?? n) + 1) return countRecords(jobsFolder, jobId);
    last = Math.max(n, last ?? n);
  }
  return last ?? countRecords(jobsFolder, jobId);
}

function countRecords(jobsFolder: string, jobId: string): number {
  let last = 0;
  for (const { n } of copiedRecords(jobsFolder, jobId)) last = n;
  return last;
}

/** Whole ones, and what may follow the last of them. */
function tailLines(jobsFolder: string, jobId: string): { readonly lines: readonly string[]; readonly isAll: boolean } {
  const file = join(jobsFolder, jobId, 'journal.jsonl');
  if (!existsSync(file)) return { lines: [], isAll: true };
  const fd = openSync(file, 'r');
  try {
    const { size } = fstatSync(fd);
    const tail = Buffer.alloc(Math.min(size, pieceBytes));
    const lines = tail.toString('utf8', 0, readSync(fd, tail, 0, tail.length, size - tail.length)).split('\n');
    const isAll = size <= tail.length;
    return { lines: isAll ? lines : lines.slice(1), isAll };
  } finally {
    closeSync(fd);
  }
}

function parseRecord(line: string): JobRecord | null {
  try {
    return JSON.parse(line) as JobRecord;
  } catch {
    return null; // it was being written when the laptop died
  }
}

/** When what was written, in order. */
export function* copiedMarks(jobsFolder: string, jobId: string, stream: LogStream): Generator<TimeMark> {
  let last: TimeMark | null = null;
  for (const line of linesOf(copyFiles(join(jobsFolder, jobId), stream).times)) {
    const [mark]: readonly TimeMark[] = parseMarks(`${line}\n`, last).marks;
    if (mark === undefined) continue;
    last = mark;
    yield mark;
  }
}

/** What the machine had given up before it could be copied; oldest first, none within another. */
export function copiedGaps(jobsFolder: string, jobId: string, stream: LogStream): LogGap[] {
  const gaps: LogGap[] = [];
  for (const line of linesOf(copyFiles(join(jobsFolder, jobId), stream).gaps)) {
    const [, from, to] = /^(\d{1,15}) (\d{1,15})$/.exec(line) ?? [];
    if (from !== undefined) gaps.push({ from: Number(from), to: Number(to) });
  }
  gaps.sort((a, b) => a.from - b.from || b.to - a.to);
  const joined: LogGap[] = [];
  for (const gap of gaps) {
    const last = joined.at(-1);
    if (last === undefined || gap.from > last.to) joined.push(gap);
    else joined[joined.length - 1] = { from: last.from, to: Math.max(last.to, gap.to) };
  }
  return joined;
}

const pieceBytes = 256 * 1024;

export type CopiedPart = { readonly type: 'log'; readonly offset: number; readonly bytes: Uint8Array } | ({ readonly type: 'gap' } & LogGap);

/** The copied log from `offset` on, in pieces. @throws GpuRunError bad-input beyond its end */
export function* copiedLog(jobsFolder: string, jobId: string, stream: LogStream, offset: number): Generator<CopiedPart> {
  using source = openCopy(jobsFolder, jobId, stream);
  const { size, gaps } = source;
  if (offset > size) {
    throw new GpuRunError('bad-input', `The log of ${jobId} has ${size} bytes; it can't be read from ${offset}.`, {
      hints: [`gpu-run logs ${jobId} --after=-4096   shows its last 4096 bytes`],
    });
  }
  for (let at = offset; at < size; ) {
    const gap = gaps.find(({ to }) => to > at);
    if (gap !== undefined && gap.from <= at) {
      yield { type: 'gap', from: at, to: gap.to };
      at = gap.to;
      continue;
    }
    const bytes = new Uint8Array(source.read(at, Math.min(pieceBytes, (gap?.from ?? size) - at)));
    if (bytes.length === 0) return;
    yield { type: 'log', offset: at, bytes };
    at += bytes.length;
  }
}

/** What is here of a part of the log, and which of it is not: all of that part. */
export function* copiedWithin(jobsFolder: string, jobId: string, stream: LogStream, { from, to }: LogGap): Generator<CopiedPart> {
  let at = from;
  const parts = from < copiedBytes(jobsFolder, jobId, stream) ? copiedLog(jobsFolder, jobId, stream, from) : [];
  for (const part of parts) {
    if (at >= to) return;
    const end = Math.min(to, part.type === 'gap' ? part.to : part.offset + part.bytes.length);
    yield part.type === 'gap' ? { type: 'gap', from: at, to: end } : { ...part, bytes: part.bytes.subarray(0, end - at) };
    at = end;
  }
  if (at < to) yield { type: 'gap', from: at, to };
}

/** What `read` gives is overwritten by the next one. */
export function openCopy(jobsFolder: string, jobId: string, stream: LogStream): LogSource & Disposable {
  const file = copyFiles(join(jobsFolder, jobId), stream).log;
  const fd = existsSync(file) ? openSync(file, 'r') : null;
  const buffer = new Uint8Array(pieceBytes);
  return {
    size: fd === null ? 0 : fstatSync(fd).size,
    gaps: copiedGaps(jobsFolder, jobId, stream),
    read: (offset, length) => buffer.subarray(0, fd === null ? 0 : readSync(fd, buffer, 0, Math.min(length, buffer.length), offset)),
    [Symbol.dispose]: () => fd !== null && closeSync(fd),
  };
}

/** Without the newline. The last one too, when it has none. */
function* linesOf(file: string): Generator<string> {
  if (!existsSync(file)) return;
  const fd = openSync(file, 'r');
  try {
    const buffer = Buffer.alloc(pieceBytes);
    let pending: Buffer = Buffer.alloc(0);
    for (let at = 0; ; ) {
      const count = readSync(fd, buffer, 0, buffer.length, at);
      if (count === 0) break;
      at += count;
      pending = Buffer.concat([pending, buffer.subarray(0, count)]);
      let start = 0;
      for (let end = pending.indexOf(0x0a); end >= 0; end = pending.indexOf(0x0a, start)) {
        yield pending.toString('utf8', start, end);
        start = end + 1;
      }
      pending = pending.subarray(start);
    }
    if (pending.length > 0) yield pending.toString('utf8');
  } finally {
    closeSync(fd);
  }
}
