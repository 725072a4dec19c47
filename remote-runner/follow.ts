/** The `follow` call: log bytes by offset and records by number, what is there and what comes, from the files alone. */
import { closeSync, existsSync, openSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Call } from '../src/protocol/call-state.ts';
import type { Calls } from '../src/protocol/calls.ts';
import { blockBytes } from '../src/protocol/frame.ts';
import type { JobRecord } from '../src/protocol/job.ts';
import { fileSize } from './job-files.ts';
import { wholeRecords } from './journal.ts';
import { existingJob, type JobFolder, type MachineFolder } from './machine-folder.ts';
import { RunnerError } from './runner-error.ts';
import { type Wake, wakeOn } from './wake.ts';

const heartbeatMs = 5_000;
const lookAgainMs = 250;

/** @throws RunnerError `bad-input` for an offset that is no place in the log; a follower who comes back may know bytes that a power cut has taken */
export async function follow(call: Call, machine: MachineFolder): Promise<Calls['follow']['result']> {
  const params = call.params as Calls['follow']['params'];
  const job = existingJob(machine, params.id);
  checkPlace(params, fileSize(job.log));
  const wake = wakeOn([job.path]);
  const log = openLog(job, params.logOffset, call);
  try {
    return await sendAll(call, params, job, log, wake);
  } finally {
    wake.close();
    await log.close();
  }
}

function checkPlace({ logOffset, record, follow: goesOn }: Calls['follow']['params'], size: number): void {
  if (!Number.isSafeInteger(logOffset) || logOffset < 0) throw new RunnerError('bad-input', `${logOffset} is no offset in a log: it counts bytes from 0.`);
  const comesBack = goesOn && record > 0;
  if (logOffset > size && !comesBack) throw new RunnerError('bad-input', `The log has ${size} bytes; there is no offset ${logOffset} in it.`);
  if (!Number.isSafeInteger(record) || record < 0) throw new RunnerError('bad-input', `${record} is no record's number.`);
}

async function sendAll(call: Call, params: Calls['follow']['params'], job: JobFolder, log: Log, wake: Wake): Promise<Calls['follow']['result']> {
  const journal: JournalPlace = { at: 0, newest: 0, ended: false };
  const beat = heartbeat(call);
  while (!call.signal.aborted) {
    const someRecords = await sendRecords(call, params.record, job, log, journal);
    if (journal.ended) break;
    // What was there when the call began, for one that does not follow; else one portion, then a look at the records again.
    const someBytes = await log.sendUpTo(params.follow ? log.at + portionBytes : fileSize(job.log));
    if (!params.follow && !someRecords) break;
    await beat();
    if (!someRecords && !someBytes) await wake.wait(lookAgainMs, call.signal);
  }
  return { logBytes: log.at, records: journal.newest };
}

const portionBytes = 4 * blockBytes;

/** At most a few thousand at once, so that a long journal is not held in memory whole. */
const recordsAtOnce = 2_000;

interface JournalPlace {
  /** Offset behind the last record that was looked at. */
  at: number;
  newest: number;
  ended: boolean;
}

/** True when there were any. A record that says where in the log it stands comes just there; the last one comes behind every byte. */
async function sendRecords(call: Call, known: number, job: JobFolder, log: Log, journal: JournalPlace): Promise<boolean> {
  const fresh = readRecords(job, journal.at);
  for (const { record, end } of fresh) {
    journal.at = end;
    journal.newest = record.n;
    journal.ended = record.type === 'state' && record.state === 'ended';
    if (record.type === 'state') await log.sendUpTo(journal.ended ? Number.MAX_SAFE_INTEGER : record.logOffset);
    // The end is told in any case: a power cut may have taken records that were known already, and their numbers are used again.
    if (record.n > known || journal.ended) await call.event({ type: 'record', record });
  }
  return fresh.length > 0;
}

/** Sends a sign of life when the last one is long ago; the first one at once: it tells a client that has come back that it is connected. */
function heartbeat(call: Call): () => Promise<void> {
  let last = 0;
  return async () => {
    if (Date.now() - last < heartbeatMs) return;
    last = Date.now();
    await call.event({ type: 'heartbeat', now: last });
  };
}

function readRecords(job: JobFolder, offset: number): { readonly record: JobRecord; readonly end: number }[] {
  if (!existsSync(job.journal)) return [];
  const fd = openSync(job.journal, 'r');
  try {
    const records: { readonly record: JobRecord; readonly end: number }[] = [];
    for (const record of wholeRecords(fd, offset)) if (records.push(record) === recordsAtOnce) break;
    return records;
  } finally {
    closeSync(fd);
  }
}

interface Log {
  readonly at: number;
  /** Sends what is there up to this offset; true when anything was sent. */
  sendUpTo(offset: number): Promise<boolean>;
  close(): Promise<void>;
}

function openLog(job: JobFolder, from: number, call: Call): Log {
  const piece = Buffer.alloc(blockBytes);
  let file: FileHandle | null = null;
  let at = from;
  return {
    get at() {
      return at;
    },
    async sendUpTo(offset) {
      if (file === null && existsSync(job.log)) file = await open(job.log, 'r');
      const begun = at;
      while (file !== null && at < offset && !call.signal.aborted) {
        const { bytesRead } = await file.read(piece, 0, Math.min(piece.length, offset - at), at);
        if (bytesRead === 0) break;
        await call.block(at, piece.subarray(0, bytesRead));
        at += bytesRead;
      }
      return at > begun;
    },
    close: async () => file?.close(),
  };
}
