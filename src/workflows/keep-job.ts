/** What was learnt of a job goes into the ledger. Several followers learn at their own pace: an end is never taken back by old news. */
import type { JobEntry } from '../core/job.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { RunContext } from './context.ts';
import { saysPreempted } from './end-reason.ts';

export function keepJob(job: JobEntry, context: Pick<RunContext, 'ledger'>): JobEntry {
  const known = context.ledger.getJob(job.id);
  if (known?.state === 'ended' && job.state !== 'ended') return known;
  context.ledger.putJob(job);
  return job;
}

/** The machine is gone, and what was running on it with it. */
export function closeJobs(machine: MachineEntry, reason: string, context: Pick<RunContext, 'ledger' | 'clock'>): void {
  const now = context.clock.now();
  for (const job of context.ledger.listJobs({ machineId: machine.id })) {
    if (job.state === 'ended') continue;
    const why = saysPreempted(reason) ? 'preempted' : 'lost';
    const end = { code: null, signal: null, reason: why, detail: `the machine ended: ${reason}` } as const;
    context.ledger.putJob({ ...job, state: 'ended', end, endedAt: now, asOf: now });
  }
}
