/** Looks after the jobs in the queue: which of them wait, which have begun; those that have ended are out of it then. */
import { existsSync, rmSync, statSync } from 'node:fs';
import { type EndRequest, endRequest } from './end-request.ts';
import { type QueueEntry, readableOrder, readStanding } from './job-files.ts';
import { hasBegun } from './line.ts';
import { type JobFolder, jobFolder, type MachineFolder } from './machine-folder.ts';
import { endQueuedJob, endUnfitJob, noteQueued } from './queued-job.ts';

export interface Attended {
  readonly begun: readonly QueueEntry[];
  readonly waiting: readonly QueueEntry[];
}

/** A file system may give two changes within so long one and the same time, milliseconds. */
const settledMs = 2_000;
/** A job that waits is looked at in any case after so long: on a network's file system times may be anything. */
const lookAnywayMs = 10_000;

/** Who waits is read again only when something of it has changed: a hundred that wait cost little more than one. */
export function createAttendant(machine: MachineFolder, now: () => number = Date.now) {
  let known: ReadonlyMap<string, Seen> = new Map();

  /** `overFor`: what ends a job that waits; null: nothing does. */
  return (entries: readonly QueueEntry[], overFor: (id: string) => EndRequest | null): Attended => {
    const seen = new Map<string, Seen>();
    const begun: QueueEntry[] = [];
    const waiting: QueueEntry[] = [];
    for (const entry of entries) {
      const job = jobFolder(machine, entry.id);
      const over = overFor(entry.id);
      const signature = signatureOf(job, now()); // before the look: what changes from now on changes it
      const before = known.get(entry.id);
      const isSame = over === null && before !== undefined && before.signature === signature && now() - before.at < lookAnywayMs;
      const place = isSame ? 'waits' : placeOf(job, entry.file, over);
      if (place === 'begun') begun.push(entry);
      if (place !== 'waits') continue;
      waiting.push(entry);
      if (isSame) seen.set(entry.id, before);
      else if (signature !== null) seen.set(entry.id, { signature, at: now() });
    }
    known = seen;
    return { begun, waiting };
  };
}

interface Seen {
  readonly signature: string;
  /** Of the look at all of it, milliseconds since the epoch. */
  readonly at: number;
}

/** Names in its folder come and go with everything that happens to a job that waits. null: it can't be told now. */
function signatureOf(job: JobFolder, now: number): string | null {
  const stats = [job.path, job.order].map((path) => statSync(path, { throwIfNoEntry: false }));
  const times = stats.map((each) => each?.mtimeMs ?? Number.POSITIVE_INFINITY);
  return times.every((time) => now - time > settledMs) ? stats.map((each) => `${each?.ino} ${each?.mtimeMs} ${each?.size}`).join(' ') : null;
}

function placeOf(job: JobFolder, file: string, over: EndRequest | null): 'begun' | 'waits' | 'gone' {
  if (existsSync(job.order)) {
    noteQueued(job);
    const begun = hasBegun(job);
    if (!begun && readableOrder(job) === null) endUnfitJob(job, 'its order on the machine was damaged');
    const state = readStanding(job)?.state;
    const request = endRequest(job) ?? over;
    if (state === 'queued' && request !== null) endQueuedJob(job, request);
    else if (state !== 'ended') return begun ? 'begun' : 'waits';
  }
  rmSync(file, { force: true });
  return 'gone';
}
