/** What a job waits for that is in the queue of its machine, for those who follow it. */
import { jobIdOf } from '../core/job.ts';
import type { JobSummary } from '../protocol/job.ts';

type Waiting = Pick<JobSummary, 'id' | 'state' | 'gpus'>;

/**
 * `job-1 waits for job-2, which runs on 'cats'`, or its place where others wait before it: short enough for a line of a terminal. null: it does
 * not wait, or for GPUs, of which the runner tells itself. `jobs`: those of the machine, oldest first; `id`: as the runner knows the job.
 */
export function queueText(id: string, jobs: readonly Waiting[], machineName: string): string | null {
  const at = jobs.findIndex((job) => job.id === id);
  const own = jobs[at];
  if (own === undefined || own.state !== 'queued' || own.gpus !== null) return null;
  const running = jobs.filter(({ state }) => state !== 'queued' && state !== 'ended');
  const before = jobs.slice(0, at).filter(({ state }) => state === 'queued');
  if (before.length > 0) {
    const meanwhile = running.length === 0 ? ` of '${machineName}'` : ` while ${named(running)} ${running.length === 1 ? 'runs' : 'run'}`;
    return `${jobIdOf(id)} is number ${before.length + 1} in the queue${meanwhile}`;
  }
  return running.length === 0 ? null : `${jobIdOf(id)} waits for ${named(running)}, which ${running.length === 1 ? 'runs' : 'run'} on '${machineName}'`;
}

function named(jobs: readonly Waiting[]): string {
  return jobs.length > 1 ? `${jobs.length} jobs` : jobs.map(({ id }) => jobIdOf(id)).join();
}
