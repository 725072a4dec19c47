/**
 * A job's journal: one JSON record a line, numbered from 1 without gaps. The serving process alone writes it; anybody reads it.
 * What a crash left of a half-written last line is cut off when the journal is opened again.
 */
import { closeSync, fdatasyncSync, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs';
import type { JobEnd, JobRecord, JobState } from '../src/protocol/job.ts';
import { openIfThere } from './durable.ts';
import { writeAll } from './write-all.ts';

type WithoutNumber<T> = T extends unknown ? Omit<T, 'n' | 't'> : never;
export type NewRecord = WithoutNumber<JobRecord>;

/** What the records so far say. */
export interface JournalFacts {
  readonly state: JobState | null;
  readonly end: JobEnd | null;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  /** Where reading the log and the metrics file for metrics goes on. */
  readonly logMetricsAt: number;
  readonly fileMetricsAt: number;
  /** Where the log's metrics have come to in the training. */
  readonly logPlace: { readonly step: number | null; readonly epoch: number | null };
  /** When the last byte of the newest checkpoint came, milliseconds since the epoch; 0: there was none. */
  readonly checkpointAt: number;
  /** Texts of the warnings, each once. */
  readonly warned: ReadonlySet<string>;
}

export interface Journal {
  /** The newest number; 0: none. */
  readonly last: number;
  readonly facts: JournalFacts;
  /** Nothing may follow an `ended` record. States have reached the disk when this returns; the rest with the next `sync`. */
  append(records: readonly NewRecord[]): void;
  sync(): void;
  close(): void;
}

const pieceBytes = 256 * 1024;
/** Thousands may come at once; the text of all of them would be megabytes. */
const writtenAtOnce = 200;

const nowhere: JournalFacts['logPlace'] = { step: null, epoch: null };

const noFacts: JournalFacts = {
  state: null,
  end: null,
  startedAt: null,
  endedAt: null,
  logMetricsAt: 0,
  fileMetricsAt: 0,
  checkpointAt: 0,
  logPlace: nowhere,
  warned: new Set(),
};

export function openJournal(file: string, now: () => number = Date.now): Journal {
  const fd = openSync(file, 'a+', 0o600);
  let last = 0;
  let facts = noFacts;
  let size = 0;
  for (const { record, end } of wholeRecords(fd, 0)) {
    last = record.n;
    facts = learn(facts, record);
    size = end;
  }
  if (fstatSync(fd).size > size) ftruncateSync(fd, size);
  let dirty = false;

  const journal: Journal = {
    get last() {
      return last;
    },
    get facts() {
      return facts;
    },
    append(records) {
      if (records.length === 0) return;
      if (facts.state === 'ended') throw new Error('the job has ended: nothing can follow');
      const t = now();
      let known = facts;
      const numbered = (from: number) =>
        records.slice(from, from + writtenAtOnce).map((record, index) => {
          const whole = { n: last + 1 + from + index, t, ...record } as JobRecord;
          known = learn(known, whole);
          return `${JSON.stringify(whole)}\n`;
        });
      wholly(fd, size, () => {
        for (let from = 0; from < records.length; from += writtenAtOnce) writeAll(fd, Buffer.from(numbered(from).join('')));
      });
      size = fstatSync(fd).size;
      last += records.length;
      facts = known;
      dirty = true;
      if (records.some(({ type }) => type === 'state')) journal.sync();
    },
    sync() {
      if (dirty) fdatasyncSync(fd);
      dirty = false;
    },
    close: () => closeSync(fd),
  };
  return journal;
}

/** Without being the one who writes it. */
export function factsOf(file: string): JournalFacts {
  const fd = openIfThere(file);
  if (fd === null) return noFacts;
  try {
    let facts = noFacts;
    for (const { record } of wholeRecords(fd, 0)) facts = learn(facts, record);
    return facts;
  } finally {
    closeSync(fd);
  }
}

function learn(facts: JournalFacts, record: JobRecord): JournalFacts {
  if (record.type === 'metric') {
    if (record.source === 'file') return { ...facts, fileMetricsAt: record.at };
    return { ...facts, logMetricsAt: record.at, logPlace: { step: record.step ?? facts.logPlace.step, epoch: record.epoch ?? facts.logPlace.epoch } };
  }
  if (record.type === 'checkpoint') return { ...facts, checkpointAt: Math.max(facts.checkpointAt, record.endedAt) };
  if (record.type === 'note' && record.level === 'warn') return { ...facts, warned: new Set([...facts.warned, record.text]) };
  if (record.type !== 'state') return facts;
  if (record.state === 'ended') return { ...facts, state: 'ended', end: record.end, endedAt: record.t };
  const starts = record.state === 'setup' || record.state === 'running';
  return { ...facts, state: record.state, startedAt: starts ? (facts.startedAt ?? record.t) : facts.startedAt };
}

/** All or nothing: a full disk must not leave half a line that the next record would be glued to. */
function wholly(fd: number, size: number, write: () => void): void {
  try {
    write();
  } catch (error) {
    ftruncateSync(fd, size);
    throw error;
  }
}

/** The whole records from `offset` on, each with the offset behind it. Stops at the first line that is unfinished or no record. */
export function* wholeRecords(fd: number, offset: number): Generator<{ readonly record: JobRecord; readonly end: number }> {
  let pending = Buffer.alloc(0);
  let at = offset;
  const piece = Buffer.alloc(Math.min(pieceBytes, Math.max(1, fstatSync(fd).size - offset))); // mostly it is the last line alone
  for (;;) {
    const got = readSync(fd, piece, 0, piece.length, at + pending.length);
    if (got === 0) return;
    pending = Buffer.concat([pending, piece.subarray(0, got)]);
    let start = 0;
    for (let newline = pending.indexOf(0x0a); newline >= 0; newline = pending.indexOf(0x0a, start)) {
      const record = parseRecord(pending.toString('utf8', start, newline));
      if (record === null) return;
      start = newline + 1;
      yield { record, end: at + start };
    }
    at += start;
    pending = pending.subarray(start);
  }
}

/** A power cut may leave zeros or half a block where a record was promised. */
function parseRecord(line: string): JobRecord | null {
  try {
    const record = JSON.parse(line) as JobRecord | null;
    return typeof record === 'object' && record !== null && typeof record.n === 'number' ? record : null;
  } catch {
    return null;
  }
}

/** The newest whole record, without reading the rest of the file. */
export function lastRecord(fd: number): JobRecord | null {
  const { size } = fstatSync(fd);
  for (let window = 4096; ; window *= 8) {
    const from = Math.max(0, size - window);
    const tail = Buffer.alloc(size - from);
    const got = readSync(fd, tail, 0, tail.length, from);
    const end = tail.subarray(0, got).lastIndexOf(0x0a);
    const start = end <= 0 ? -1 : tail.lastIndexOf(0x0a, end - 1);
    if (end >= 0 && (start >= 0 || from === 0)) return parseRecord(tail.toString('utf8', start + 1, end));
    if (from === 0) return null;
  }
}
