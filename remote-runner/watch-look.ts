/** One look of the watchdog at the machine. */
import { gpuUses, somebodyIsHere } from './busy.ts';
import { gpusOf } from './grant.ts';
import { fileSize, queueEntries, readStanding } from './job-files.ts';
import { type JobFolder, jobFolder, type MachineFolder } from './machine-folder.ts';
import type { RunningJob, Sight } from './watch-decide.ts';
import { thisMoment } from './watch-order.ts';

/** @throws when the queue can't be read */
export function look(machine: MachineFolder): Sight {
  const jobs = queueEntries(machine).map(({ id }) => ({ job: jobFolder(machine, id), state: stateOf(jobFolder(machine, id)) }));
  const live = jobs.filter(({ state }) => state !== 'ended');
  return {
    now: thisMoment(),
    jobs: live.length,
    running: live.flatMap(({ job, state }) => (state === 'queued' ? [] : [runningJob(job)])),
    somebody: () => somebodyIsHere(machine.root),
    gpus: () => gpuUses(),
  };
}

function runningJob(job: JobFolder): RunningJob {
  return { id: job.id, written: fileSize(job.log) + fileSize(job.err) + fileSize(job.metrics), gpus: indexesOf(job) };
}

/** What can't be read keeps the watchdog from nothing: then all GPUs count. */
function indexesOf(job: JobFolder): readonly number[] | null {
  try {
    return gpusOf(job)?.map(({ index }) => index) ?? null;
  } catch {
    return null;
  }
}

/** A job that has none yet waits. One whose state can't be read may well run. */
function stateOf(job: JobFolder): string {
  try {
    return readStanding(job)?.state ?? 'queued';
  } catch {
    return 'unknown';
  }
}
