/** One look of the watchdog at the machine. */
import { gpuUse, somebodyIsHere } from './busy.ts';
import { fileSize, queueEntries, readStanding } from './job-files.ts';
import { type JobFolder, jobFolder, type MachineFolder } from './machine-folder.ts';
import type { Sight } from './watch-decide.ts';
import { thisMoment } from './watch-order.ts';

/** @throws when the queue can't be read */
export function look(machine: MachineFolder): Sight {
  const jobs = queueEntries(machine).map(({ id }) => ({ job: jobFolder(machine, id), state: stateOf(jobFolder(machine, id)) }));
  const live = jobs.filter(({ state }) => state !== 'ended');
  return {
    now: thisMoment(),
    jobs: live.length,
    running: live.flatMap(({ job, state }) => (state === 'queued' ? [] : [job.id])),
    written: live.reduce((sum, { job }) => sum + fileSize(job.log) + fileSize(job.err) + fileSize(job.metrics), 0),
    somebody: () => somebodyIsHere(machine.root),
    gpus: () => gpuUse(),
  };
}

/** A job that has none yet waits. One whose state can't be read may well run. */
function stateOf(job: JobFolder): string {
  try {
    return readStanding(job)?.state ?? 'queued';
  } catch {
    return 'unknown';
  }
}
