/** How much of a job is on this computer: from there on it is followed. */
import type { JobEntry } from '../core/job.ts';
import type { RunContext } from './context.ts';
import type { FollowFrom } from './follow-from.ts';
import { copiedBytes, lastCopiedRecord } from './job-copy.ts';

export type CopiedPlace = Pick<FollowFrom, 'logOffset' | 'record'> & { readonly errOffset: number };

export function copiedPlace({ id }: Pick<JobEntry, 'id'>, { home }: Pick<RunContext, 'home'>): CopiedPlace {
  return {
    logOffset: copiedBytes(home.jobs, id, 'out'),
    errOffset: copiedBytes(home.jobs, id, 'err'),
    record: lastCopiedRecord(home.jobs, id)?.n ?? 0,
  };
}
