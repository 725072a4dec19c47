/** What was learnt of a job goes into the ledger. Several followers learn at their own pace: an end is never taken back by old news. */
import type { JobEntry } from '../core/job.ts';
import type { RunContext } from './context.ts';

export function keepJob(job: JobEntry, context: Pick<RunContext, 'ledger'>): JobEntry {
  const known = context.ledger.getJob(job.id);
  if (known?.state === 'ended' && job.state !== 'ended') return known;
  context.ledger.putJob(job);
  return job;
}
