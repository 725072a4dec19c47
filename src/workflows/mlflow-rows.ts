/** What of a job's records MLflow is told, read from the copy on this computer as it grows. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { JobRecord } from '../core/job.ts';
import type { MlflowMetric, RunStatus } from './mlflow-api.ts';

export interface RecordRows {
  /** The record's number. */
  readonly n: number;
  readonly metrics: readonly MlflowMetric[];
  /** What the record says of the run; null: nothing. */
  readonly status: { readonly status: RunStatus; readonly endTime: number | null } | null;
}

export interface RowReader {
  /** The next record; null: no more now. */
  next(): RecordRows | null;
  close(): void;
}

const pieceBytes = 256 * 1024;
const newline = 0x0a;

/** From the first record on: what has no step of its own is counted from there. */
export function openRows(jobsFolder: string, jobId: string): RowReader {
  let fd: number | null = null;
  let at = 0;
  let last = 0;
  let pending: JobRecord[] = [];
  const rowsOf = createRows();
  const file = join(jobsFolder, jobId, 'journal.jsonl');

  /** False: nothing whole has come. */
  const readMore = (): boolean => {
    fd ??= openIfThere(file);
    if (fd === null || fstatSync(fd).size <= at) return false;
    for (let size = pieceBytes; ; size *= 2) {
      const piece = Buffer.alloc(size);
      const read = readSync(fd, piece, 0, size, at);
      const end = piece.subarray(0, read).lastIndexOf(newline) + 1;
      if (end === 0 && read === size) continue; // a record longer than the piece
      pending = piece.toString('utf8', 0, end).split('\n').flatMap(recordIn);
      at += end;
      return end > 0;
    }
  };
  return {
    next() {
      for (;;) {
        const record = pending.shift();
        if (record === undefined) {
          if (!readMore()) return null;
        } else if (record.n === last + 1) {
          last = record.n;
          return { n: record.n, ...rowsOf(record) };
        }
      }
    },
    close: () => fd !== null && closeSync(fd),
  };
}

function openIfThere(file: string): number | null {
  try {
    return openSync(file, 'r');
  } catch {
    return null;
  }
}

function recordIn(line: string): JobRecord[] {
  try {
    const record = JSON.parse(line) as JobRecord;
    return typeof record === 'object' && record !== null ? [record] : [];
  } catch {
    return []; // a line that was being written when the computer died
  }
}

/** Where a record says no step: the last one, else its epoch, else a number of its own. As in TensorBoard's files. */
function createRows(): (record: JobRecord) => Pick<RecordRows, 'metrics' | 'status'> {
  let last: number | null = null;
  let count = 0;
  return (record) => {
    if (record.type === 'state') return { metrics: [], status: statusOf(record) };
    if (record.type !== 'metric') return { metrics: [], status: null };
    count += 1;
    const said = Math.trunc(record.step ?? Number.NaN);
    if (Number.isSafeInteger(said)) last = said; // else it is nothing that MLflow's int64 could hold
    const step = last ?? (Number.isSafeInteger(record.epoch) ? (record.epoch ?? count) : count);
    const timestamp = Math.trunc(record.t);
    const metrics = Object.entries(record.values).map(([name, value]) => ({ key: keyOf(name), value, timestamp, step }));
    return { metrics, status: null };
  };
}

/**
 * Letters, digits and `_ - . / space`, no more than 250, and as a path in its shortest form: all that every MLflow takes
 * (mlflow/utils/validation.py). One name that it refuses would keep it from all the others.
 */
function keyOf(name: string): string {
  const parts = name
    .slice(0, 250)
    .replace(/[^\w\-. /]/g, '_')
    .split('/');
  const path = parts.filter((part) => part !== '' && part !== '.' && part !== '..').join('/') || '_';
  return path.replace(/^\.\./, '__');
}

function statusOf(record: Extract<JobRecord, { type: 'state' }>): RecordRows['status'] {
  if (record.state === 'running') return { status: 'RUNNING', endTime: null };
  if (record.state !== 'ended') return null;
  const { code, reason } = record.end;
  const killed = reason === 'cancelled' || reason === 'preempted' || reason === 'deadline' || reason === 'budget' || reason === 'stalled';
  return { status: code === 0 ? 'FINISHED' : killed ? 'KILLED' : 'FAILED', endTime: Math.trunc(record.t) };
}
