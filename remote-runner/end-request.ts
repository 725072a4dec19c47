/** The wish that a job shall end: a file in its folder, so that it outlives whoever had it. */
import { writeWithBallast } from './ballast.ts';
import { readJson, writeDurably } from './durable.ts';
import type { JobFolder, MachineFolder } from './machine-folder.ts';

export interface EndRequest {
  /** Between SIGTERM and SIGKILL. */
  readonly graceMs: number;
  /** Absent: somebody has cancelled it, or ends the machine. */
  readonly why?: 'preempted';
}

/** null: nobody wants it to end. */
export function endRequest(job: JobFolder): EndRequest | null {
  return readJson<EndRequest>(job.cancel);
}

/** The first reason stays; the newest grace counts. */
export function requestEnd(machine: MachineFolder, job: JobFolder, { graceMs, why }: EndRequest): void {
  const before = endRequest(job);
  const reason = before === null ? why : before.why;
  writeWithBallast(machine, () => writeDurably(job.cancel, JSON.stringify({ graceMs, ...(reason === undefined ? {} : { why: reason }) })));
}
