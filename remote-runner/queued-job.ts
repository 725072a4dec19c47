/** A job that waits: its first record, what it is told, and its end where it never begins. */
import { existsSync, rmSync } from 'node:fs';
import type { JobEnd } from '../src/protocol/job.ts';
import { isDiskFull } from './ballast.ts';
import { type EndRequest, reasonOf } from './end-request.ts';
import { logPlace, writeStanding } from './job-files.ts';
import { openJournal } from './journal.ts';
import type { JobFolder } from './machine-folder.ts';

/** Gives a new job its first record. */
export function noteQueued(job: JobFolder): void {
  if (existsSync(job.standing)) return;
  const journal = openJournal(job.journal);
  try {
    if (journal.last === 0) journal.append([{ type: 'state', state: 'queued', logOffset: 0 }]);
    writeStanding(job, journal.facts);
  } finally {
    journal.close();
  }
}

/** A note can be done without: a full disk keeps no job waiting. */
export function tellQueued(job: JobFolder, level: 'info' | 'warn', text: string): void {
  const journal = openJournal(job.journal);
  try {
    journal.append([{ type: 'note', level, text }]);
  } catch (error) {
    if (!isDiskFull(error)) throw error;
  } finally {
    journal.close();
  }
}

/** Ends a job that was never started: cancelled while it waited, or the machine is going away. */
export function endQueuedJob(job: JobFolder, request: EndRequest): void {
  endUnstarted(job, { code: null, signal: null, ...reasonOf(request, null) });
}

/** Ends a job that this machine can't run, however long it waits. `why`: in words without a full stop. */
export function endUnfitJob(job: JobFolder, why: string): void {
  endUnstarted(job, { code: 126, signal: null, reason: 'not-started', detail: why });
}

function endUnstarted(job: JobFolder, end: JobEnd): void {
  const journal = openJournal(job.journal);
  try {
    if (journal.facts.state !== 'ended') journal.append([{ type: 'state', state: 'ended', ...logPlace(job), end }]);
    rmSync(job.secrets, { force: true });
    writeStanding(job, journal.facts);
  } finally {
    journal.close();
  }
}
