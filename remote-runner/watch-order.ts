/**
 * The watchdog's order on the disk, and how much of its time is left. The machine's wall clock may be wrong, and set right at any
 * moment: so time is counted by the clock that runs since the boot, sleep included, and by the wall clock across a reboot alone.
 */
import { linkSync, rmSync } from 'node:fs';
import { uptime } from 'node:os';
import { type Fields, isFields } from '../src/protocol/shape.ts';
import type { WatchdogOrder, WatchdogReason } from '../src/protocol/watchdog.ts';
import { writeWithBallast } from './ballast.ts';
import { readText, syncFolder, writeDurably } from './durable.ts';
import type { MachineFolder } from './machine-folder.ts';
import { bootId } from './processes.ts';

/** A moment, by all that may tell how long ago it was. Milliseconds. */
export interface Moment {
  readonly boot: string;
  readonly sinceBoot: number;
  readonly wall: number;
}

export interface ArmedOrder extends WatchdogOrder {
  /** No other order has it. */
  readonly id: string;
  readonly at: Moment;
  /** Commands that switch the machine off, tried in turn; absolute, so that they stay what they were. Empty: it stays. */
  readonly powerOff: readonly (readonly string[])[];
}

/** The watchdog has begun to end it. */
export interface Over {
  /** The order under which it has: a later one takes it back. */
  readonly order: string;
  readonly why: WatchdogReason;
  readonly at: Moment;
  /** Between a job's signal and its SIGKILL. */
  readonly graceMs: number;
  /** Ids of the jobs that end; null: all, and none is started any more. */
  readonly jobs: readonly string[] | null;
}

export function thisMoment(): Moment {
  return { boot: bootId(), sinceBoot: uptime() * 1000, wall: Date.now() };
}

/** Never less than 0. */
export function passedMs(since: Moment, now: Moment): number {
  const sameBoot = since.boot === now.boot && now.sinceBoot >= since.sinceBoot;
  return Math.max(0, sameBoot ? now.sinceBoot - since.sinceBoot : now.wall - since.wall);
}

export function remainingMs(order: Pick<ArmedOrder, 'remainingMs' | 'at'>, now: Moment): number {
  return order.remainingMs - passedMs(order.at, now);
}

const mostLeadMs = 90_000;
const usefulLeadMs = 10_000;

/**
 * How long before the deadline the end begins: first the jobs' signal and grace, then time for their results to be fetched, so
 * that nothing is left when it comes. A tenth of the time that was ordered, 90 s at most; of short times more, up to half.
 */
export function leadMs(order: Pick<WatchdogOrder, 'remainingMs'>): number {
  const wholeMs = Math.max(0, order.remainingMs);
  return Math.min(mostLeadMs, Math.max(wholeMs / 10, Math.min(usefulLeadMs, wholeMs / 2)));
}

/** Google says that its timer may be half a minute late; some seconds more, and there is time left to go down within a minute. */
const mostLateMs = 40_000;

/**
 * How long after the deadline a machine switches itself off that its provider should have deleted by then: what has switched
 * itself off is deleted by no timer any more, and its disk bills on. Of short times no more than the lead.
 */
export function lateMs(order: Pick<WatchdogOrder, 'remainingMs' | 'deletedByProvider'>): number {
  return order.deletedByProvider ? Math.min(mostLateMs, leadMs(order)) : 0;
}

/** null: nobody has ordered anything, or what lies there is no order; also one of another version that we can't read. */
export function armedOrder(machine: MachineFolder): ArmedOrder | null {
  return readChecked<ArmedOrder>(machine.armed, isOrder);
}

/** Writes down again what was removed. An order that somebody gives meanwhile stays. @throws what the system says, also when one is there */
export function restoreOrder(machine: MachineFolder, order: ArmedOrder): void {
  const hidden = `${machine.armed}.${process.pid}`;
  try {
    writeWithBallast(machine, () => writeDurably(hidden, JSON.stringify(order)));
    linkSync(hidden, machine.armed);
    syncFolder(machine.root);
  } finally {
    rmSync(hidden, { force: true });
  }
}

/** null: it goes on. */
export function overOf(machine: MachineFolder, order: ArmedOrder | null = armedOrder(machine)): Over | null {
  const over = order === null ? null : readChecked<Over>(machine.over, isOver);
  return over?.order === order?.id ? over : null;
}

/** What there is to tell whoever follows a job, by its id. */
export function warningsOf(machine: MachineFolder): Readonly<Record<string, string>> {
  return readChecked<Readonly<Record<string, string>>>(machine.warning, (texts) => Object.values(texts).every(isText)) ?? {};
}

/** Whatever a damaged disk, a job or an older version has left there must not stop who reads it. */
function readChecked<T>(file: string, isOne: (fields: Fields) => boolean): T | null {
  try {
    const value: unknown = JSON.parse(readText(file) ?? 'null');
    return isFields(value) && isOne(value) ? (value as T) : null;
  } catch {
    return null;
  }
}

function isOrder(fields: Fields): boolean {
  const { id, at, powerOff } = fields;
  const isPowerOff = Array.isArray(powerOff) && powerOff.every((command) => isTexts(command) && command.length > 0);
  return isText(id) && isMoment(at) && isPowerOff && saysWhatToDo(fields);
}

/** What of an order comes from the laptop, all but its deadline by the wall clock, which is only for people. */
export function saysWhatToDo({ remainingMs, why, idleSeconds, stallSeconds, onEnd, deletedByProvider }: Fields): boolean {
  return (
    Number.isFinite(remainingMs) &&
    (why === 'deadline' || why === 'budget') &&
    [idleSeconds, stallSeconds].every((seconds) => seconds === null || (Number.isFinite(seconds) && Number(seconds) > 0)) &&
    (onEnd === 'power-off' || onEnd === 'leave') &&
    typeof deletedByProvider === 'boolean'
  );
}

const reasons: ReadonlySet<unknown> = new Set<WatchdogReason>(['deadline', 'budget', 'idle', 'stalled']);

function isOver({ order, why, at, graceMs, jobs }: Fields): boolean {
  return isText(order) && reasons.has(why) && isMoment(at) && Number.isFinite(graceMs) && Number(graceMs) >= 0 && (jobs === null || isTexts(jobs));
}

function isMoment(value: unknown): boolean {
  return isFields(value) && typeof value['boot'] === 'string' && Number.isFinite(value['sinceBoot']) && Number.isFinite(value['wall']);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(isText);
}
