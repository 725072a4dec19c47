/**
 * The watchdog: one process a machine, detached, needs no laptop, no cloud and nobody's key. It ends jobs, and the machine where
 * that was ordered, at the deadline, when nobody uses it, and when a job has stalled. It and the serving process start each
 * other again; all it knows lies in files, but for how long the machine has been idle so far.
 */
import { existsSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeWithBallast } from './ballast.ts';
import { clientIsHere, gpuUse, somebodyIsHere } from './busy.ts';
import { writeDurably } from './durable.ts';
import { fileSize, queueEntries, readStanding, wakeServe } from './job-files.ts';
import { endJobProcesses, jobProcesses } from './job-processes.ts';
import { jobFolder, type MachineFolder } from './machine-folder.ts';
import { powerOff } from './power-off.ts';
import { takeServeLock } from './serve-lock.ts';
import { createStarter } from './start-serve.ts';
import { decide, type Memory, nothingSeen, type Sight } from './watch-decide.ts';
import { type ArmedOrder, armedOrder, leadMs, type Over, overOf, passedMs, remainingMs, thisMoment } from './watch-order.ts';

const lookEveryMs = 1_000;
/** A stalled job's; at a deadline it is half of the time that is left. */
const stallGraceMs = 60_000;
/** For whoever is connected to fetch what a stalled job has left. */
const fetchMs = 120_000;
/** The serving process gets so long beyond the jobs' grace; then the watchdog ends them itself. */
const serveMs = 5_000;

/** Resolves when nothing is ordered any more, the machine goes away otherwise, or another process watches. */
export async function watch(machine: MachineFolder, script: string, version: string, complain: (text: string) => void): Promise<void> {
  if (!existsSync(machine.watchLock) || existsSync(machine.shutdown)) return;
  const lock = takeServeLock(machine.watchLock, version);
  if (lock === null) return;
  // Versions are replaced by connections alone: else an old watchdog and a new serving process would end each other.
  const serving = createStarter(machine, 'serve', script, version, false);
  const stillOurs = () => lock.stillOurs() && existsSync(machine.root) && !existsSync(machine.shutdown);
  let memory: Memory = nothingSeen;
  while (stillOurs()) {
    try {
      const order = armedOrder(machine);
      if (order === null) return;
      serving.ensure();
      const over = overOf(machine);
      if (over === null) memory = await watchOver(machine, order, memory);
      else if (await enforce(machine, order, over)) await powerOff(order.powerOff, () => stillOurs() && overOf(machine) !== null, complain);
    } catch (error) {
      complain(`${new Date().toISOString()} ${error instanceof Error ? error.stack : String(error)}\n`);
    }
    await sleep(lookEveryMs);
  }
}

async function watchOver(machine: MachineFolder, order: ArmedOrder, before: Memory): Promise<Memory> {
  const { end, warning, memory } = await decide(order, look(machine), before);
  if (warning !== null) tell(machine, warning);
  if (end === null) return memory;
  begin(machine, { why: end, at: thisMoment(), graceMs: end === 'stalled' ? stallGraceMs : leadMs(order) / 2 });
  return nothingSeen;
}

function look(machine: MachineFolder): Sight {
  const jobs = queueEntries(machine).map(({ id }) => jobFolder(machine, id));
  const live = jobs.filter((job) => readStanding(job)?.state !== 'ended');
  return {
    now: thisMoment(),
    jobs: live.length,
    written: live.reduce((sum, job) => sum + fileSize(job.log) + fileSize(job.metrics), 0),
    somebody: () => somebodyIsHere(machine.root),
    gpus: () => gpuUse(),
  };
}

function tell(machine: MachineFolder, text: string): void {
  writeWithBallast(machine, () => writeDurably(machine.warning, JSON.stringify({ text })));
}

function begin(machine: MachineFolder, over: Over): void {
  writeWithBallast(machine, () => writeDurably(machine.over, JSON.stringify(over)));
  wakeServe(machine);
}

/** The serving process ends the jobs; where it does not, we do. True: the time has come to switch the machine off. */
async function enforce(machine: MachineFolder, order: ArmedOrder, over: Over): Promise<boolean> {
  const now = thisMoment();
  const passed = passedMs(over.at, now);
  const atDeadline = remainingMs(order, now) <= 0;
  const entries = queueEntries(machine);
  if (entries.length > 0) {
    if (!atDeadline && passed < over.graceMs + serveMs) return false;
    for (const { id } of entries) await endJobProcesses({ find: () => jobProcesses(id, []), shims: [], graceMs: () => 0 });
  }
  if (order.onEnd === 'leave') {
    if (over.why === 'stalled' && entries.length === 0) rmSync(machine.over, { force: true }); // the host stays, and may take other jobs
    return false;
  }
  const waits = over.why === 'idle' ? 0 : fetchMs;
  return atDeadline || passed >= over.graceMs + waits || !clientIsHere(machine.root);
}
