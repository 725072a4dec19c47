/** What was learnt of a job goes into the ledger. Several followers learn at their own pace: an end is never taken back by old news, nor an attempt by news of the one before. */
import { toGpuRunError } from '../core/errors.ts';
import { type JobEnd, type JobEntry, runnerJobId } from '../core/job.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { RunContext } from './context.ts';
import { downDetail, downReason, saysPreempted } from './end-reason.ts';

export function keepJob(job: JobEntry, context: Pick<RunContext, 'ledger'>): JobEntry {
  const known = context.ledger.getJob(job.id);
  if (known !== null && known.attempts > job.attempts) return known;
  const isSure = known?.attempts === job.attempts && known.end?.detail?.endsWith(neverRan) !== true;
  if (isSure && known.state === 'ended' && job.state !== 'ended') return known;
  if (isSure && known.end?.reason === 'cancelled') return known; // perhaps only here: its next attempt was
  context.ledger.putJob(job);
  return job;
}

/** Between the last try to send a job and its arrival on the machine, milliseconds: after longer than that whoever was sending it has died. */
const sentWithinMs = 30_000;
/** How guesses end: a runner that knows the job knows better. */
const neverRan = 'it never ran';

/** Whoever sends it is at it now. */
export function noteSending({ id, attempts }: JobEntry, { ledger, clock }: Pick<RunContext, 'ledger' | 'clock'>): void {
  const known = ledger.getJob(id);
  if (known?.state === 'queued' && known.attempts === attempts) ledger.putJob({ ...known, asOf: clock.now() });
}

/** Closes the jobs of a machine that never got there. `there`: the ids that its runner knows. */
export function closeUnsent(machine: MachineEntry, there: ReadonlySet<string>, context: Pick<RunContext, 'ledger' | 'clock'>): void {
  const now = context.clock.now();
  for (const job of context.ledger.listJobs({ machineId: machine.id })) {
    if (job.state === 'ended' || there.has(runnerJobId(job)) || now - job.asOf < sentWithinMs) continue;
    const end = { code: null, signal: null, reason: 'lost', detail: `the gpu-run that was sending it died: ${neverRan}` } as const;
    context.ledger.putJob({ ...job, state: 'ended', end, endedAt: now, asOf: now });
  }
}

/** Its outputs are here, or nobody goes on trying: its machine need not stay for them. */
export function noteUnawaited(job: JobEntry, { ledger }: Pick<RunContext, 'ledger'>): void {
  ledger.putJob({ ...(ledger.getJob(job.id) ?? job), awaitedBy: null });
}

/** Its machine does not know it, and nobody will send it again. `why`: what kept it from being sent. */
export function closeNeverRan(job: JobEntry, why: unknown, { ledger, clock }: Pick<RunContext, 'ledger' | 'clock'>): void {
  const known = ledger.getJob(job.id) ?? job;
  if (known.attempts !== job.attempts || known.state === 'ended') return;
  const { code, message } = toGpuRunError(why);
  const end: JobEnd =
    code === 'interrupted'
      ? { code: null, signal: null, reason: 'cancelled', detail: neverRan }
      : { code: null, signal: null, reason: 'not-started', detail: `${message.replace(/\.$/, '')}: ${neverRan}` };
  ledger.putJob({ ...known, state: 'ended', end, endedAt: clock.now(), asOf: clock.now() });
}

/** The machine is gone, and what was running on it with it. */
export function closeJobs(machine: MachineEntry, reason: string, context: Pick<RunContext, 'ledger' | 'clock'>): void {
  const now = context.clock.now();
  for (const job of context.ledger.listJobs({ machineId: machine.id })) {
    if (job.state === 'ended') continue;
    const why = saysPreempted(reason) ? 'preempted' : 'lost';
    const end = { code: null, signal: null, reason: why, detail: reason === downReason ? downDetail : `the machine ended: ${reason}` } as const;
    context.ledger.putJob({ ...job, state: 'ended', end, endedAt: now, asOf: now });
  }
}
