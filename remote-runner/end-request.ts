/** The wish that a job shall end: a file in its folder, so that it outlives whoever had it. */

import type { JobEnd } from '../src/protocol/job.ts';
import { writeWithBallast } from './ballast.ts';
import { readJson, writeDurably } from './durable.ts';
import type { JobFolder, MachineFolder } from './machine-folder.ts';

export interface EndRequest {
  /** Between SIGTERM and SIGKILL. */
  readonly graceMs: number;
  /** Absent: somebody has cancelled it, or ends the machine. */
  readonly why?: 'preempted' | 'deadline' | 'budget' | 'stalled';
  /** The job has had its signal from whoever asks: it ended on this request, also where the serving process learns of that later. */
  readonly signalled?: boolean;
}

/** null: nobody wants it to end. */
export function endRequest(job: JobFolder): EndRequest | null {
  return readJson<EndRequest>(job.cancel);
}

/** The first reason stays; the newest grace counts. */
export function requestEnd(machine: MachineFolder, job: JobFolder, { graceMs, why, signalled = false }: EndRequest): void {
  const before = endRequest(job);
  const reason = before === null ? why : before.why;
  const request: EndRequest = { graceMs, ...(reason === undefined ? {} : { why: reason }), ...(signalled ? { signalled } : {}) };
  writeWithBallast(machine, () => writeDurably(job.cancel, JSON.stringify(request)));
}

/** Whoever cancels a job does not want it back: a preemption, after which it may be started again, is no reason any more. */
export function requestCancel(machine: MachineFolder, job: JobFolder, graceMs: number): void {
  if (endRequest(job)?.why === 'preempted') writeWithBallast(machine, () => writeDurably(job.cancel, JSON.stringify({ graceMs })));
  else requestEnd(machine, job, { graceMs });
}

const details: Readonly<Record<NonNullable<EndRequest['why']>, string>> = {
  preempted: 'the provider took the machine back',
  deadline: "the machine's time is over",
  budget: 'the budget is used up',
  stalled: 'it wrote nothing, and no GPU worked',
};

/** What is told of a job that ended on this request. `code`: null when it never started, or left none. */
export function reasonOf({ why }: EndRequest, code: number | null): Pick<JobEnd, 'reason' | 'detail'> {
  if (why === undefined) return { reason: 'cancelled', detail: code === null ? 'it was cancelled before it started' : null };
  if (why === 'stalled' && code === null) return { reason: why, detail: 'the machine ended, as the job before it had stalled' };
  return { reason: why, detail: `${details[why]}${code === null ? ' before it started' : ''}` };
}
