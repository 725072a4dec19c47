/**
 * The serving process: one a machine, detached, owns the queue, runs one job after the other. All it knows lies in files, so
 * that it can be killed at any moment and started again: the job goes on meanwhile.
 */
import { existsSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { setBallast, writeWithBallast } from './ballast.ts';
import { readJson, writeDurably } from './durable.ts';
import { type QueueEntry, queueEntries, readStanding } from './job-files.ts';
import { mendLeftovers } from './leftovers.ts';
import { jobFolder, type MachineFolder } from './machine-folder.ts';
import { takeServeLock } from './serve-lock.ts';
import { cancelRequest, endQueuedJob, noteQueued, superviseJob } from './supervise.ts';
import { wakeOn } from './wake.ts';

const lookAgainMs = 1_000;
const afterFailureMs = 1_000;
const mendEveryMs = 60_000;

export interface ShutdownRequest {
  readonly graceMs: number;
}

/**
 * Resolves when the machine is going away and no job is left, when another process serves, or when the folder has vanished.
 * `complain` gets what went wrong and will be tried again.
 */
export async function serve(machine: MachineFolder, version: string, complain: (text: string) => void): Promise<void> {
  if (!existsSync(machine.lock)) return; // made by the connection that started us: the machine is gone again
  const lock = takeServeLock(machine.lock, version);
  if (lock === null) return;
  setBallast(machine);
  const wake = wakeOn([machine.queue, machine.root]);
  let running: string | null = null;
  let mendedAt = 0;

  /** Whatever goes wrong (a full disk?): what was begun is taken up again from the files. */
  const orComplain = async (what: string, work: () => unknown) => {
    try {
      await work();
    } catch (error) {
      complain(`${new Date().toISOString()} ${what}: ${error instanceof Error ? error.stack : String(error)}\n`);
      await sleep(afterFailureMs);
    }
  };
  const run = async ({ id, file }: QueueEntry) => {
    running = id;
    await orComplain(id, async () => {
      await superviseJob(machine, jobFolder(machine, id));
      rmSync(file, { force: true });
    });
    running = null;
    wake.poke();
  };
  const mend = () => {
    if (Date.now() - mendedAt < mendEveryMs) return;
    mendedAt = Date.now();
    writeWithBallast(machine, () => mendLeftovers(machine));
  };
  const look = async () => {
    const leaving = readJson<ShutdownRequest>(machine.shutdown);
    const [next] = queueEntries(machine).filter((entry) => entry.id !== running && attend(machine, entry, leaving !== null));
    if (running !== null) {
      if (leaving !== null) cancelForShutdown(machine, running, leaving);
    } else if (next !== undefined) void run(next);
    else if (leaving !== null) return false;
    await wake.wait(lookAgainMs);
    return true;
  };

  for (let goOn = true; goOn && lock.stillOurs(); ) {
    await orComplain('leftovers', mend);
    await orComplain('the queue', async () => {
      goOn = await look();
    });
  }
  wake.close();
}

/** Looks after a job that waits. False when it has ended, and is out of the queue then. */
function attend(machine: MachineFolder, { id, file }: QueueEntry, leaving: boolean): boolean {
  const job = jobFolder(machine, id);
  if (existsSync(job.order)) {
    noteQueued(job);
    const state = readStanding(job)?.state;
    if (state === 'queued' && (leaving || cancelRequest(job) !== null)) endQueuedJob(job);
    else if (state !== 'ended') return true;
  }
  rmSync(file, { force: true });
  return false;
}

function cancelForShutdown(machine: MachineFolder, id: string, { graceMs }: ShutdownRequest): void {
  const job = jobFolder(machine, id);
  const asked = cancelRequest(job);
  if (asked === null || asked.graceMs > graceMs) writeWithBallast(machine, () => writeDurably(job.cancel, JSON.stringify({ graceMs })));
}
