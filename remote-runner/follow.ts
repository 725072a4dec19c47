/** The `follow` call: log bytes by offset and records by number, what is there and what comes, from the files alone. */
import { closeSync, openSync } from 'node:fs';
import type { Call } from '../src/protocol/call-state.ts';
import type { Calls } from '../src/protocol/calls.ts';
import { blockBytes } from '../src/protocol/frame.ts';
import type { JobRecord } from '../src/protocol/job.ts';
import type { LogStream } from '../src/protocol/log.ts';
import { type Logs, openLogs } from './follow-logs.ts';
import { fileSize } from './job-files.ts';
import { wholeRecords } from './journal.ts';
import { existingJob, type JobFolder, type MachineFolder } from './machine-folder.ts';
import { RunnerError } from './runner-error.ts';
import { briskly, type Wake, wakeOn } from './wake.ts';

const heartbeatMs = 5_000;

/** @throws RunnerError `bad-input` for an offset that is no place in the log; whoever has records already may have bytes that a power cut has taken */
export async function follow(call: Call, machine: MachineFolder): Promise<Calls['follow']['result']> {
  const params = call.params as Calls['follow']['params'];
  const job = existingJob(machine, params.id);
  checkPlace(params, { out: fileSize(job.log), err: fileSize(job.err) });
  const logs = openLogs(call, params, job);
  const wake = wakeOn([job.path], briskly, (name) => {
    if (!params.follow || !logs.sendNow(name)) return false;
    wake.within(logs.lookAgainMs());
    return true;
  });
  try {
    return await sendAll(call, params, job, logs, wake);
  } finally {
    wake.close();
    logs.close();
  }
}

function checkPlace({ logOffset, errOffset = 0, times, record, proofs }: Calls['follow']['params'], size: Readonly<Record<LogStream, number>>): void {
  for (const offset of [logOffset, errOffset, times?.out ?? 0, times?.err ?? 0])
    if (!Number.isSafeInteger(offset) || offset < 0) throw new RunnerError('bad-input', `${offset} is no offset in a log: it counts bytes from 0.`);
  const comesBack = record > 0 || proofs !== undefined;
  for (const [offset, bytes] of [
    [logOffset, size.out],
    [errOffset, size.err],
  ] as const)
    if (offset > bytes && !comesBack) throw new RunnerError('bad-input', `The log has ${bytes} bytes; there is no offset ${offset} in it.`);
  if (!Number.isSafeInteger(record) || record < 0) throw new RunnerError('bad-input', `${record} is no record's number.`);
}

async function sendAll(call: Call, params: Calls['follow']['params'], job: JobFolder, logs: Logs, wake: Wake): Promise<Calls['follow']['result']> {
  const journal: JournalPlace = { at: 0, newest: 0, ended: false };
  const beat = heartbeat(call);
  await logs.compare();
  while (!call.signal.aborted) {
    const someRecords = await sendRecords(call, params.record, job, logs, journal);
    if (journal.ended) break;
    // What was there when the call began, for one that does not follow; else one portion, then a look at the records again.
    const moreBytes = await logs.sendPortion(params.follow ? portionBytes : Number.MAX_SAFE_INTEGER);
    if (!params.follow && !someRecords) break;
    const beatInMs = await beat();
    if (!someRecords && !moreBytes) await wake.wait(Math.min(beatInMs, logs.lookAgainMs()), call.signal);
  }
  return { logBytes: logs.at, records: journal.newest };
}

const portionBytes = 4 * blockBytes;

/** At most a few thousand at once, so that a long journal is not held in memory whole. */
const recordsAtOnce = 2_000;
/** In one event, about. */
const recordBytesAtOnce = 64 * 1024;

interface JournalPlace {
  /** Offset behind the last record that was looked at. */
  at: number;
  newest: number;
  ended: boolean;
}

/** True when there were any. A record that says where in the log it stands comes just there; the last one comes behind every byte. */
async function sendRecords(call: Call, known: number, job: JobFolder, logs: Logs, journal: JournalPlace): Promise<boolean> {
  const fresh = readRecords(job, journal.at);
  const untold: JobRecord[] = [];
  let toldTo = journal.at;
  const tell = async () => {
    toldTo = journal.at;
    const records = untold.splice(0);
    if (records.length > 0) await call.event({ type: 'records', records });
  };
  for (const { record, end } of fresh) {
    journal.at = end;
    journal.newest = record.n;
    journal.ended = record.type === 'state' && record.state === 'ended';
    if (record.type === 'state') {
      await tell();
      await logs.sendUpTo(journal.ended ? null : record);
    }
    // The end is told in any case: a power cut may have taken records that were known already, and their numbers are used again.
    if (record.n > known || journal.ended) untold.push(record);
    if (journal.at - toldTo >= recordBytesAtOnce) await tell();
  }
  await tell();
  return fresh.length > 0;
}

/**
 * Sends a sign of life when the last one is long ago; the first one at once: it tells a client that has come back that it is connected.
 * Says in how many milliseconds the next one is due.
 */
function heartbeat(call: Call): () => Promise<number> {
  let last = Number.NEGATIVE_INFINITY;
  return async () => {
    const left = Math.ceil(last + heartbeatMs - performance.now());
    if (left > 1) return left; // timers may be a moment early
    last = performance.now();
    await call.event({ type: 'heartbeat', now: Date.now() });
    return heartbeatMs;
  };
}

function readRecords(job: JobFolder, offset: number): { readonly record: JobRecord; readonly end: number }[] {
  if (fileSize(job.journal) <= offset) return [];
  const fd = openSync(job.journal, 'r');
  try {
    const records: { readonly record: JobRecord; readonly end: number }[] = [];
    for (const record of wholeRecords(fd, offset)) if (records.push(record) === recordsAtOnce) break;
    return records;
  } finally {
    closeSync(fd);
  }
}
