/**
 * The watchdog: one process a machine, detached, needs no laptop, no cloud and nobody's key. It ends jobs, and the machine where
 * that was ordered, at the deadline, when nobody uses it, and when a job has stalled. It and the serving process start each
 * other again; all it knows lies in files, but for how long the machine has been idle so far. Nothing that is damaged or missing
 * on the machine may keep it from its work.
 */
import { existsSync, rmSync } from 'node:fs';
import { writeWithBallast } from './ballast.ts';
import { isAbsent, writeDurably } from './durable.ts';
import { wakeServe } from './job-files.ts';
import type { MachineFolder } from './machine-folder.ts';
import { powerOff } from './power-off.ts';
import { type ServeLock, takeServeLock } from './serve-lock.ts';
import { createStarter } from './start-serve.ts';
import { calmly, wakeOn } from './wake.ts';
import { decide, type Memory, nothingSeen, quietMs } from './watch-decide.ts';
import { enforce, queuedIds } from './watch-end.ts';
import { look } from './watch-look.ts';
import { type ArmedOrder, armedOrder, leadMs, type Over, overOf, restoreOrder, thisMoment, warningsOf } from './watch-order.ts';

/** Orders and goodbyes are heard of, and deadlines are known. This is for a serving process that has died, and for whatever was missed. */
const lookAgainMs = 5_000;
/** While something is being ended, or the order is missing. */
const lookCloselyMs = 1_000;
const restoreAfterMs = 900;
/** A stalled job's; at a deadline it is half of the time that is left. */
const stallGraceMs = 60_000;

/**
 * Resolves when the machine goes away otherwise, when another process watches, and, before an order was read, when there is none.
 * `complain` gets what went wrong.
 */
export async function watch(machine: MachineFolder, script: string, version: string, complain: (text: string) => void): Promise<void> {
  if (!existsSync(machine.watchLock) || existsSync(machine.shutdown)) return;
  const lock = writeWithBallast(machine, () => takeServeLock(machine.watchLock, version));
  if (lock === null) return;
  // Versions are replaced by connections alone: else an old watchdog and a new serving process would end each other.
  const serving = createStarter(machine, 'serve', script, version, false);
  const say = oncePerCause(complain);
  const isDismissed = (order: ArmedOrder | null) => isReleased(machine, lock, order, say);
  const wake = wakeOn([machine.root, machine.watchLock], calmly);
  let known: Known = { order: null, jobs: [], over: null, memory: nothingSeen };
  let missingSince: number | null = null;
  for (; !isDismissed(known.order); await wake.wait((missingSince === null && attempt(() => pauseOf(known), say)) || lookCloselyMs)) {
    try {
      attempt(() => serving.ensure(), say);
      const order = armedOrder(machine) ?? known.order; // what was read once holds, whatever has become of the file
      known = { ...known, order, jobs: queuedIds(machine) ?? known.jobs };
      if (order === null) say('The order can not be read.');
      else known = { ...known, ...(await step(machine, order, known, () => !isDismissed(order), say)) };
    } catch (error) {
      say(textOf(error));
    }
    const { order } = known;
    const isMissing = order !== null && attempt(() => isAbsent(machine.armed) && !isAbsent(machine.root)) === true;
    missingSince = isMissing ? (missingSince ?? performance.now()) : null;
    // Not at once: the whole folder may just be being removed.
    if (isMissing && performance.now() - (missingSince ?? 0) >= restoreAfterMs) attempt(() => restoreOrder(machine, order), say);
  }
  wake.close();
}

function pauseOf({ order, over, memory }: Known): number {
  return order === null || over !== null ? lookCloselyMs : Math.min(lookAgainMs, quietMs(order, thisMoment(), memory));
}

/** What is missing, or can't be looked at, dismisses nobody who has an order; but a host that stays may have been cleared of all that is ours. */
function isReleased(machine: MachineFolder, lock: ServeLock, order: ArmedOrder | null, say: (text: string) => void): boolean {
  const isGone = (path: string) => attempt(() => isAbsent(path), say) === true;
  if (existsSync(machine.shutdown) || attempt(() => lock.isTakenOver(), say) === true) return true;
  if (order === null) return isGone(machine.armed);
  return order.onEnd === 'leave' && isGone(machine.root);
}

interface Known {
  readonly order: ArmedOrder | null;
  /** Ids of the jobs that were in the queue when it could last be read. */
  readonly jobs: readonly string[];
  /** Also where it could not be written down: the disk may be full. */
  readonly over: Over | null;
  readonly memory: Memory;
}

type Learned = Pick<Known, 'over' | 'memory'>;

async function step(machine: MachineFolder, order: ArmedOrder, before: Known, isOurs: () => boolean, say: (text: string) => void): Promise<Learned> {
  const over = before.over?.order === order.id ? before.over : overOf(machine, order);
  if (over === null) return await watchOver(machine, order, before.memory, say);
  const next = await enforce(machine, order, over, before.jobs);
  if (next === 'take-back') rmSync(machine.over, { force: true });
  if (next === 'switch-off') await powerOff(order.powerOff, () => isOurs() && !isReplaced(machine, order), say);
  return { over: next === 'take-back' ? null : over, memory: nothingSeen };
}

function isReplaced(machine: MachineFolder, { id }: ArmedOrder): boolean {
  return (armedOrder(machine)?.id ?? id) !== id;
}

async function watchOver(machine: MachineFolder, order: ArmedOrder, before: Memory, say: (text: string) => void): Promise<Learned> {
  const { end, memory, jobs } = await decide(order, thisMoment(), () => look(machine), before);
  attempt(() => tell(machine, end === null ? memory.warnings : {}), say);
  if (end === null) return { memory, over: null };
  if (isReplaced(machine, order)) return { memory: nothingSeen, over: null }; // ordered anew while we looked
  const graceMs = end === 'stalled' ? stallGraceMs : leadMs(order) / 2;
  const over: Over = { order: order.id, why: end, at: thisMoment(), graceMs, jobs };
  attempt(() => {
    writeWithBallast(machine, () => writeDurably(machine.over, JSON.stringify(over)));
    wakeServe(machine);
  }, say);
  return { memory: nothingSeen, over };
}

/** What holds no more is taken back: it would be told to those who follow the job later. */
function tell(machine: MachineFolder, warnings: Readonly<Record<string, string>>): void {
  const text = JSON.stringify(warnings);
  if (text === '{}') rmSync(machine.warning, { force: true });
  else if (JSON.stringify(warningsOf(machine)) !== text) writeWithBallast(machine, () => writeDurably(machine.warning, text));
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
