/** The lines after a job that say how it used its machine. From what is on this computer: nobody waits for them. */

import type { RunContext } from '../workflows/context.ts';
import type { TrainResult } from '../workflows/train-input.ts';

/** Never fails: the job's own end counts. */
export async function jobSummary({ job, machine }: TrainResult, context: RunContext): Promise<readonly string[]> {
  try {
    const [{ reportFromCopy }, { summaryLines }] = await Promise.all([import('../workflows/report.ts'), import('./render/report-text.ts')]);
    return summaryLines(reportFromCopy(job, machine, context));
  } catch {
    return []; // a copy that can't be read
  }
}
