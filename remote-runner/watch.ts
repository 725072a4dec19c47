/**
 * The watchdog: one process a machine, detached, needs no laptop, no cloud and nobody's key. It ends jobs, and the machine where
 * that was ordered, at the deadline, when nobody uses it, and when a job has stalled. It and the serving process start each
 * other again; all it knows lies in files, but for how long the machine has been idle so far. Nothing that is damaged or missing
 * on the machine may keep it from its work.
 */
import { existsSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeWithBallast } from './ballast.ts';
import { gpuUse, somebodyIsHere } from './busy.ts';
import { writeDurably } from './durable.ts';
import { fileSize, queueEntries, readStanding, wakeServe } from './job-files.ts';
import { jobFolder, type MachineFolder } from './machine-folder.ts';
import { powerOff } from './power-off.ts';
import { takeServeLock } from './serve-lock.ts';
import { createStarter } from './start-serve.ts';
import { decide, type Memory, nothingSeen, type Sight } from './watch-decide.ts';
import { enforce } from './watch-end.ts';
import { type ArmedOrder, armedOrder, leadMs, type Over, overOf, thisMoment, warningOf } from './watch-order.ts';

const lookEveryMs = 1_000;
/** A stalled job's; at a deadline it is half of the time that is left. */
const stallGraceMs = 60_000;

/** Resolves when nothing is ordered any more, the machine goes away otherwise, or another process watches. `complain` gets what went wrong. */
export async function watch(machine: MachineFolder, script: string, version: string, complain: (text: string) => void): Promise<void> {
  if (!existsSync(machine.watchLock) || existsSync(machine.shutdown)) return;
  const lock = writeWithBallast(machine, () => takeServeLock(machine.watchLock, version));
  if (lock === null) return;
  // Versions are replaced by connections alone: else an old watchdog and a new serving process would end each other.
  const serving = createStarter(machine, 'serve', script, version, false);
  const say = oncePerCause(complain);
  const isOurs = () => lock.stillOurs() && existsSync(machine.root) && !existsSync(machine.shutdown);
  let known: Known = { order: null, over: null, memory: nothingSeen };
  while (attempt(isOurs, say) ?? true) {
    try {
      if (!existsSync(machine.armed)) return;
      attempt(() => serving.ensure(), say);
      const order = armedOrder(machine) ?? known.order; // what was read once holds, whatever has become of the file
      if (order === null) say('The order can not be read.');
      else known = await step(machine, order, known, isOurs, say);
    } catch (error) {
      say(textOf(error));
    }
    await sleep(lookEveryMs);
  }
}

interface Known {
  readonly order: ArmedOrder | null;
  /** Also where it could not be written down: the disk may be full. */
  readonly over: Over | null;
  readonly memory: Memory;
}

async function step(machine: MachineFolder, order: ArmedOrder, before: Known, isOurs: () => boolean, say: (text: string) => void): Promise<Known> {
  const over = before.over?.order === order.id ? before.over : overOf(machine, order);
  if (over === null) return { order, ...(await watchOver(machine, order, before.memory, say)) };
  const next = await enforce(machine, order, over);
  if (next === 'take-back') rmSync(machine.over, { force: true });
  if (next === 'switch-off') await powerOff(order.powerOff, () => isOurs() && !isReplaced(machine, order), say);
  return { order, over: next === 'take-back' ? null : over, memory: nothingSeen };
}

function isReplaced(machine: MachineFolder, { id }: ArmedOrder): boolean {
  return (armedOrder(machine)?.id ?? id) !== id;
}

async function watchOver(machine: MachineFolder, order: ArmedOrder, before: Memory, say: (text: string) => void): Promise<Omit<Known, 'order'>> {
  const { end, memory } = await decide(order, thisMoment(), () => look(machine), before);
  attempt(() => tell(machine, end === null ? memory.warning : null), say);
  if (end === null) return { memory, over: null };
  if (isReplaced(machine, order)) return { memory: nothingSeen, over: null }; // ordered anew while we looked
  const graceMs = end === 'stalled' ? stallGraceMs : leadMs(order) / 2;
  const jobs = end === 'stalled' && order.onEnd === 'leave' ? queueEntries(machine).flatMap(({ id }, turn) => (turn === 0 ? [id] : [])) : null;
  const over: Over = { order: order.id, why: end, at: thisMoment(), graceMs, jobs };
  attempt(() => {
    writeWithBallast(machine, () => writeDurably(machine.over, JSON.stringify(over)));
    wakeServe(machine);
  }, say);
  return { memory: nothingSeen, over };
}

function look(machine: MachineFolder): Sight {
  const jobs = queueEntries(machine).map(({ id }) => jobFolder(machine, id));
  // A job whose state can't be read may well run.
  const live = jobs.filter((job) => attempt(() => readStanding(job)?.state) !== 'ended');
  return {
    now: thisMoment(),
    jobs: live.length,
    written: live.reduce((sum, job) => sum + fileSize(job.log) + fileSize(job.metrics), 0),
    somebody: () => somebodyIsHere(machine.root),
    gpus: () => gpuUse(),
  };
}

/** What holds no more is taken back: it would be told to the followers of the next job. */
function tell(machine: MachineFolder, text: string | null): void {
  if (text === null) rmSync(machine.warning, { force: true });
  else if (warningOf(machine) !== text) writeWithBallast(machine, () => writeDurably(machine.warning, JSON.stringify({ text })));
}

function attempt<T>(work: () => T, say: (text: string) => void = () => {}): T | undefined {
  try {
    return work();
  } catch (error) {
    say(textOf(error));
    return undefined;
  }
}

/** What goes wrong each second must not fill the disk. */
function oncePerCause(complain: (text: string) => void): (text: string) => void {
  let last = '';
  return (text) => {
    if (text !== last) complain(`${new Date().toISOString()} ${text}\n`);
    last = text;
  };
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
