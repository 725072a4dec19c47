/**
 * The metrics as files for the user, among the job's outputs: `metrics.jsonl`, and an event file that TensorBoard shows live. Both
 * are what the journal's records make them, byte by byte: after a crash, a full disk or a job that has removed them they are
 * compared with it and brought up to date, so that nothing is missing and nothing is there twice.
 */
import { closeSync, constants, fstatSync, ftruncateSync, mkdirSync, openSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { eventFileHead } from '../src/protocol/event-file.ts';
import { type MetricsPlace, metricsPlace } from '../src/protocol/metric-files.ts';
import { type EncodeMetric, eventEncoder, lineOf, type MetricRecord } from '../src/protocol/metric-lines.ts';
import type { JobOrder } from './job-files.ts';
import { wholeRecords } from './journal.ts';
import type { JobFolder, MachineFolder } from './machine-folder.ts';
import { writeAll } from './write-all.ts';

export interface MetricFiles {
  /** Brings them up to date. `final`: nothing more will come. Never throws: what can't be written now is tried again, and the job goes on. */
  update(final: boolean): void;
  close(): void;
}

const tryAgainMs = 5_000;
/** Nobody gives a file such a name: made for the metrics when a job has ended that wrote nothing itself. */
const surelyFolder = /(?:^|\/)(?:runs|outputs?|out|results?|logs?|artifacts|checkpoints|ckpts|models|experiments|tensorboard)$/i;
const none: MetricFiles = { update: () => {}, close: () => {} };

export function openMetricFiles(machine: MachineFolder, job: JobFolder, order: JobOrder, now: () => number = Date.now): MetricFiles {
  const place = metricsPlace({ ...order, id: order.name ?? order.id }); // all attempts of a job in one folder
  if (place === null) return none;
  const hasMetrics = metricSearch(job);
  let files: Files | null = null;
  let notBefore = 0;
  const close = () => {
    files?.close();
    files = null;
  };
  return {
    update(final) {
      if (!final && now() < notBefore) return;
      try {
        if (files !== null && !files.areThere()) close();
        // While it runs, the job makes its folders: many programs refuse one that is there already.
        const mayBegin = isThere(join(machine.workdir, place.output)) || (final && surelyFolder.test(place.output));
        if (files === null && !(mayBegin && hasMetrics())) return;
        files ??= openFiles(machine.workdir, job, place, order);
        files.catchUp();
      } catch {
        close();
        notBefore = now() + tryAgainMs;
      }
    },
    close,
  };
}

interface Files {
  areThere(): boolean;
  catchUp(): void;
  close(): void;
}

function openFiles(workdir: string, job: JobFolder, place: MetricsPlace, order: JobOrder): Files {
  mkdirSync(join(workdir, place.folder), { recursive: true });
  const journal = openSync(job.journal, 'r');
  const open: Derived[] = [];
  const close = () => {
    for (const file of open) file.close();
    closeSync(journal);
  };
  try {
    open.push(openDerived(join(workdir, place.lines), Buffer.alloc(0), lineOf));
    open.push(openDerived(join(workdir, place.events), eventFileHead(order.createdAt / 1000), eventEncoder()));
  } catch (error) {
    close();
    throw error;
  }
  let at = 0;
  return {
    areThere: () => open.every((file) => file.isThere()),
    catchUp() {
      if (fstatSync(journal).size === at) return;
      for (const { record, end } of wholeRecords(journal, at)) {
        at = end;
        if (record.type === 'metric') for (const file of open) file.add(record);
      }
      for (const file of open) file.flush();
    },
    close,
  };
}

interface Derived {
  isThere(): boolean;
  add(record: MetricRecord): void;
  flush(): void;
  close(): void;
}

const pieceBytes = 256 * 1024;

/** A file whose bytes follow from the records: what of it is there already is left, from the first other byte on it is written anew. */
function openDerived(path: string, head: Buffer, encode: EncodeMetric): Derived {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW | constants.O_NONBLOCK, 0o644);
  let there = whatIsThere(fd);
  let matched = 0;
  let pending: Buffer[] = [];
  let pendingBytes = 0;

  const cut = () => {
    if (there !== null) ftruncateSync(fd, matched);
    there = null;
  };
  const flush = () => {
    cut();
    const bytes = Buffer.concat(pending);
    pending = [];
    pendingBytes = 0;
    writeAll(fd, bytes);
  };
  const put = (bytes: Buffer) => {
    if (there?.subarray(matched, matched + bytes.length).equals(bytes)) {
      matched += bytes.length;
      return;
    }
    cut();
    pending.push(bytes);
    pendingBytes += bytes.length;
    if (pendingBytes >= pieceBytes) flush();
  };
  put(head);
  return {
    isThere: () => {
      const named = statSync(path, { throwIfNoEntry: false });
      const own = fstatSync(fd);
      return named?.ino === own.ino && named.dev === own.dev;
    },
    add: (record) => put(encode(record)),
    flush,
    close: () => closeSync(fd),
  };
}

/** Closes the file where it can't be told. @throws of a pipe, or of a file that is too large to be ours, too */
function whatIsThere(fd: number): Buffer | null {
  try {
    if (!fstatSync(fd).isFile()) throw new Error('what stands in the place of a metrics file is none');
    return readFileSync(fd);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function isThere(folder: string): boolean {
  return statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Whether the journal has come to hold a metric; each time only what is new of it is read. */
function metricSearch(job: JobFolder): () => boolean {
  let found = false;
  let at = 0;
  return () => {
    if (found) return true;
    const fd = openSync(job.journal, 'r');
    try {
      for (const { record, end } of wholeRecords(fd, at)) {
        at = end;
        found ||= record.type === 'metric';
      }
      return found;
    } finally {
      closeSync(fd);
    }
  };
}
