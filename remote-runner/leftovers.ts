/** What submits that were killed half-way leave behind, secrets among it, is cleared away or finished. */
import { existsSync, lstatSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isMissing } from './durable.ts';
import { enqueue } from './job-files.ts';
import { jobFolder, jobIds, type MachineFolder } from './machine-folder.ts';
import { identify } from './processes.ts';

/** No submit writes for so long: a pid that is alive then was given to somebody else. */
const abandonedAfterMs = 3_600_000;

/** Removes what nobody will finish, and queues jobs that are whole but were never queued. Harmless beside a submit that lives. */
export function mendLeftovers(machine: MachineFolder): void {
  for (const folder of [machine.jobs, machine.queue]) {
    for (const name of readdirSync(folder)) if (isAbandoned(folder, name)) rmSync(join(folder, name), { recursive: true, force: true });
  }
  for (const job of jobIds(machine).map((id) => jobFolder(machine, id))) if (existsSync(job.order)) enqueue(machine, job);
}

/** Hidden names are `.ID.PID...`, or `..ID.PID...` while such a file is itself being written; ids have no dots. */
function isAbandoned(folder: string, name: string): boolean {
  const [, pid] = /^\.{1,2}[A-Za-z0-9_-]+\.(\d+)(?:\.|$)/.exec(name) ?? [];
  return pid !== undefined && (identify(Number(pid)) === null || ageMs(join(folder, name)) > abandonedAfterMs);
}

function ageMs(path: string): number {
  try {
    return Date.now() - lstatSync(path).mtimeMs;
  } catch (error) {
    if (isMissing(error)) return 0;
    throw error;
  }
}
