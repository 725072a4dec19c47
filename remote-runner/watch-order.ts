/**
 * The watchdog's order on the disk, and how much of its time is left. The machine's wall clock may be wrong, and set right at any
 * moment: so time is counted by the clock that runs since the boot, and by the wall clock across a reboot alone.
 */
import { uptime } from 'node:os';
import type { WatchdogOrder, WatchdogReason } from '../src/protocol/watchdog.ts';
import { readJson } from './durable.ts';
import type { MachineFolder } from './machine-folder.ts';
import { bootId } from './processes.ts';

/** A moment, by all that may tell how long ago it was. Milliseconds. */
export interface Moment {
  readonly boot: string;
  readonly sinceBoot: number;
  readonly wall: number;
}

export interface ArmedOrder extends WatchdogOrder {
  readonly at: Moment;
  /** Commands that switch the machine off, tried in turn; absolute, so that they stay what they were. Empty: it stays. */
  readonly powerOff: readonly (readonly string[])[];
}

/** The watchdog has begun to end it. */
export interface Over {
  readonly why: WatchdogReason;
  readonly at: Moment;
  /** Between a job's signal and its SIGKILL. */
  readonly graceMs: number;
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

/** null: nobody has ordered anything. */
export function armedOrder(machine: MachineFolder): ArmedOrder | null {
  return readJson<ArmedOrder>(machine.armed);
}

/** null: it goes on. */
export function overOf(machine: MachineFolder): Over | null {
  return readJson<Over>(machine.over);
}
