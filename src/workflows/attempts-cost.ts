/** What a job cost on all the machines that its attempts ran on. */
import type { JobEntry } from '../core/job.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import { jobCost } from './after-job.ts';
import type { RunContext } from './context.ts';
import type { JobCost } from './train-input.ts';

type Span = Pick<JobEntry, 'startedAt' | 'endedAt' | 'gpus'>;

/**
 * `machine`: the last one's. Several attempts on one machine count from the start of the first to the end of the last. `inVain`: ids of
 * machines that were lost before the job got there.
 */
export function costOfAttempts(job: JobEntry, machine: MachineEntry, context: Pick<RunContext, 'ledger' | 'clock'>, inVain: readonly string[] = []): JobCost {
  const spans = new Map<string, Span>();
  for (const { machineId, startedAt, endedAt, gpus = null } of [...(job.earlier ?? []), job]) {
    const known = spans.get(machineId);
    const end = endedAt ?? (startedAt === null ? (known?.endedAt ?? null) : null);
    spans.set(machineId, { startedAt: known?.startedAt ?? startedAt, endedAt: end, gpus });
  }
  for (const id of inVain) if (!spans.has(id)) spans.set(id, { startedAt: null, endedAt: null, gpus: null });
  const costs = [...spans].flatMap(([id, span]) => {
    const entry = id === machine.id ? machine : context.ledger.get(id);
    return entry === null ? [] : [jobCost({ ...job, ...span }, entry, context)];
  });
  return {
    usd: costs.reduce((sum, { usd }) => sum + usd, 0),
    gpuSeconds: costs.reduce((sum, { gpuSeconds }) => sum + gpuSeconds, 0),
    items: costs.flatMap(({ items }) => items),
  };
}
