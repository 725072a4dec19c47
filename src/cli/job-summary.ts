/** The lines after a job that say how it used its machine. From what is on this computer: nobody waits for them. */

import type { RunContext } from '../workflows/context.ts';
import type { TrainResult } from '../workflows/train-input.ts';

/** Half a million records; to read more of them takes seconds, for which `gpu-run report` is there. */
const mostBytes = 64 * 1024 * 1024;

/** Never fails: the job's own end counts. */
export async function jobSummary({ job, machine }: TrainResult, context: RunContext, most = mostBytes): Promise<readonly string[]> {
  try {
    const { journalBytes } = await import('../workflows/job-copy.ts');
    if (journalBytes(context.home.jobs, job.id) > most) return [`gpu-run report ${job.id}   shows how it used its machine`];
    const [{ reportFromCopy }, { summaryLines }] = await Promise.all([import('../workflows/report.ts'), import('./render/report-text.ts')]);
    return summaryLines(reportFromCopy(job, machine, context));
  } catch {
    return []; // a copy that can't be read
  }
}
