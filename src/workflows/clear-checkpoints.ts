/**
 * Checkpoints that were fetched of jobs which failed stay on this computer, for whoever wants to go on from them; but they may take many
 * gigabytes each, and nobody else clears them away.
 */
import { existsSync, readdirSync, realpathSync, statSync, utimesSync } from 'node:fs';
import { join, sep } from 'node:path';
import { checkpointStore } from './checkpoint-store.ts';
import type { RunContext } from './context.ts';

type Known = Pick<RunContext, 'home' | 'ledger' | 'clock'>;

const dayMs = 86_400_000;
/** So long they are kept, milliseconds; and so many jobs' of those that are older than a day. */
const keptMs = 30 * dayMs;
const keptJobs = 10;

/** Of jobs that have ended, or whose machine is gone. What else is known of a job stays. `wanted`: a file or folder that is needed now. Never fails. */
export function clearOldCheckpoints(context: Known & Pick<RunContext, 'reporter'>, wanted: string | undefined = undefined): void {
  try {
    renew(context, wanted);
    const old = oldOnes(context);
    for (const id of old) checkpointStore(context.home.jobs, id).clear();
    if (old.length === 0) return;
    const text = `Cleared away old checkpoints of ${old.length === 1 ? old[0] : `${old.length} jobs`} on this computer`;
    context.reporter.report({ type: 'note', level: 'info', text });
  } catch {
    // what can't be cleared away now is tried again by the next one
  }
}

/** Where `wanted` is one of them, it counts as new: no other process clears it away before it has been sent. Never fails. */
export function renewCheckpoints(context: Pick<RunContext, 'home' | 'clock'>, wanted: string | undefined): void {
  try {
    renew(context, wanted);
  } catch {
    // who may not change it may not clear it away
  }
}

/** Paths are compared as the system resolves them: either may lead through links. */
function renew({ home, clock }: Pick<RunContext, 'home' | 'clock'>, wanted: string | undefined): void {
  if (wanted === undefined || !existsSync(wanted)) return;
  const real = realpathSync(wanted);
  const now = new Date(clock.now());
  for (const folder of foldersIn(home.jobs).map((id) => folderOf(home.jobs, id))) {
    const own = realpathSync(folder);
    if (liesIn(real, own) || liesIn(own, real)) utimesSync(folder, now, now);
  }
}

function liesIn(path: string, folder: string): boolean {
  return `${path}${sep}`.startsWith(`${folder}${sep}`);
}

function oldOnes({ home, ledger, clock }: Known): string[] {
  const kept = foldersIn(home.jobs).flatMap((id) => {
    const job = ledger.getJob(id);
    if (job !== null && job.state !== 'ended' && ledger.get(job.machineId)?.state !== 'gone') return [];
    const changedAt = Math.max(statSync(folderOf(home.jobs, id)).mtimeMs, job?.endedAt ?? 0);
    return [{ id, age: clock.now() - changedAt, again: job?.again === true }];
  });
  const byAge = kept.toSorted((one, other) => one.age - other.age);
  // Whoever was about to start one again a month ago has died.
  return byAge.flatMap(({ id, age, again }, index) => (age > keptMs || (!again && age > dayMs && index >= keptJobs) ? [id] : []));
}

/** Ids of the jobs that have some. */
function foldersIn(jobs: string): string[] {
  return readdirSync(jobs).filter((id) => existsSync(folderOf(jobs, id)));
}

function folderOf(jobs: string, id: string): string {
  return join(jobs, id, 'checkpoints');
}
