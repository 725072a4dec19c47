/**
 * Checkpoints that were fetched of jobs which failed stay on this computer, for whoever wants to go on from them; but they may take many
 * gigabytes each, and nobody else clears them away.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, resolve, sep } from 'node:path';
import { checkpointStore } from './checkpoint-store.ts';
import type { RunContext } from './context.ts';

const dayMs = 86_400_000;
/** So long they are kept, milliseconds; and so many jobs' of those that are older than a day. */
const keptMs = 30 * dayMs;
const keptJobs = 10;

/** Of jobs that have ended, or whose machine is gone. What else is known of a job stays. `wanted`: a file or folder that is needed now. Never fails. */
export function clearOldCheckpoints(context: Pick<RunContext, 'home' | 'ledger' | 'clock' | 'reporter'>, wanted: string | null = null): void {
  try {
    const old = oldOnes(context).filter((id) => wanted === null || !`${resolve(wanted)}${sep}`.startsWith(`${join(context.home.jobs, id)}${sep}`));
    for (const id of old) checkpointStore(context.home.jobs, id).clear();
    if (old.length === 0) return;
    const text = `Cleared away old checkpoints of ${old.length === 1 ? old[0] : `${old.length} jobs`} on this computer`;
    context.reporter.report({ type: 'note', level: 'info', text });
  } catch {
    // what can't be cleared away now is tried again by the next one
  }
}

function oldOnes({ home, ledger, clock }: Pick<RunContext, 'home' | 'ledger' | 'clock'>): string[] {
  const isDone = (id: string) => {
    const job = ledger.getJob(id);
    return job === null || (job.again !== true && (job.state === 'ended' || ledger.get(job.machineId)?.state === 'gone'));
  };
  const kept = readdirSync(home.jobs).flatMap((id) => {
    const folder = join(home.jobs, id, 'checkpoints');
    if (!existsSync(folder) || !isDone(id)) return [];
    return [{ id, age: clock.now() - Math.max(statSync(folder).mtimeMs, ledger.getJob(id)?.endedAt ?? 0) }];
  });
  const byAge = kept.toSorted((one, other) => one.age - other.age);
  return byAge.flatMap(({ id, age }, index) => (age > keptMs || (age > dayMs && index >= keptJobs) ? [id] : []));
}
