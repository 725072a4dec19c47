/** What the watchdog does once it has begun to end jobs and perhaps the machine: it sees to it that the serving process does its part, or does it. */
import { clientIsHere } from './busy.ts';
import { type EndRequest, endRequest, requestEnd } from './end-request.ts';
import { queueEntries } from './job-files.ts';
import { endJobProcesses, jobProcesses } from './job-processes.ts';
import { jobFolder, type MachineFolder } from './machine-folder.ts';
import { isTimeOver } from './watch-decide.ts';
import { type ArmedOrder, lateMs, type Over, passedMs, remainingMs, thisMoment } from './watch-order.ts';

/** For whoever is connected to fetch what a stalled job has left. */
const fetchMs = 120_000;
/** The serving process gets so long to tell the jobs, of short graces a third, and again beyond their grace; then the watchdog does it. */
const serveMs = 5_000;

/** `switch-off`: the time has come for it. `take-back`: it is over no longer. */
export type Next = 'wait' | 'switch-off' | 'take-back';

/** `lastSeen`: ids of the jobs that were in the queue when it could last be read. */
export async function enforce(machine: MachineFolder, order: ArmedOrder, over: Over, lastSeen: readonly string[]): Promise<Next> {
  const now = thisMoment();
  const passed = passedMs(over.at, now);
  const remaining = remainingMs(order, now);
  const jobs = unfinished(machine, over, lastSeen);
  if (over.jobs !== null && isTimeOver(order, now)) return 'take-back'; // now it is over for all
  if (over.why === 'idle') return remaining > 0 && (jobs.length > 0 || clientIsHere(machine.root)) ? 'take-back' : 'switch-off';
  if (jobs.length > 0) {
    if (remaining > 0 && passed < over.graceMs + serveMs) {
      if (passed >= Math.min(serveMs, over.graceMs / 3)) await endUntold(machine, jobs, over);
      return 'wait';
    }
    await endAll(jobs, () => 0);
  }
  if (over.jobs !== null) return jobs.length === 0 ? 'take-back' : 'wait'; // the machine stays for other jobs
  if (order.onEnd === 'leave') return 'wait';
  return mayGo(machine, order, over, passed, remaining) ? 'switch-off' : 'wait';
}

/** No job is left: is anybody still busy with what they have left, or the provider with the machine? Milliseconds. */
function mayGo({ root }: MachineFolder, order: ArmedOrder, { why, graceMs }: Over, passed: number, remaining: number): boolean {
  if (why !== 'stalled' && order.deletedByProvider) return remaining <= -lateMs(order);
  return remaining <= 0 || (why === 'stalled' && passed >= graceMs + fetchMs) || !clientIsHere(root);
}

/** Ids. A queue that can't be read any more keeps no machine alive, and no job: then those that have processes are left. */
function unfinished(machine: MachineFolder, over: Over, lastSeen: readonly string[]): string[] {
  const ids = queuedIds(machine) ?? lastSeen.filter((id) => jobProcesses(id, []).length > 0);
  return ids.filter((id) => over.jobs?.includes(id) ?? true);
}

/** null: it can't be read. */
export function queuedIds(machine: MachineFolder): string[] | null {
  try {
    return queueEntries(machine).map(({ id }) => id);
  } catch {
    return null;
  }
}

/** The serving process is deaf, or can't be had: the jobs get their signal and the rest of their grace from us. */
async function endUntold(machine: MachineFolder, jobs: readonly string[], { at, graceMs, why }: Over): Promise<void> {
  const untold = jobs.filter((id) => !wasTold(machine, id));
  for (const id of untold) tell(machine, id, { graceMs, signalled: true, ...(why === 'idle' ? {} : { why }) });
  await endAll(untold, () => graceMs - passedMs(at, thisMoment()));
}

/** Whoever serves next says then why it ended. A full or damaged disk keeps no job alive. */
function tell(machine: MachineFolder, id: string, request: EndRequest): void {
  try {
    requestEnd(machine, jobFolder(machine, id), request);
  } catch {
    // It ends all the same.
  }
}

function wasTold(machine: MachineFolder, id: string): boolean {
  try {
    return endRequest(jobFolder(machine, id)) !== null;
  } catch {
    return false;
  }
}

/** All at once: one that is stuck in the kernel holds up none. */
async function endAll(jobs: readonly string[], graceMs: () => number): Promise<void> {
  await Promise.all(jobs.map((id) => endJobProcesses({ find: () => jobProcesses(id, []), shims: [], graceMs })));
}
