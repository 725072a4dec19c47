/** When the watchdog acts: a function of what it sees, so that days pass in a test within a moment. */
import type { WatchdogReason } from '../src/protocol/watchdog.ts';
import type { GpuUse } from './busy.ts';
import { type ArmedOrder, leadMs, type Moment, passedMs, remainingMs } from './watch-order.ts';

/** One look at the machine. */
export interface Sight {
  readonly now: Moment;
  /** Jobs that have not ended. */
  readonly jobs: number;
  /** Ids of those of them that wait for nobody. */
  readonly running: readonly string[];
  /** Bytes that jobs have written so far; any change is a sign of life. */
  readonly written: number;
  /** Asked only when the rest does not settle it. */
  readonly somebody: () => Promise<boolean>;
  readonly gpus: () => Promise<GpuUse>;
}

/** What it remembers from look to look. */
export interface Memory {
  readonly idleSince: Moment | null;
  readonly stillSince: Moment | null;
  readonly written: number;
  readonly running: readonly string[];
  readonly lookedAt: Moment | null;
  /** For whoever follows the job, as long as it holds; null: nothing to tell. */
  readonly warning: string | null;
}

export const nothingSeen: Memory = { idleSince: null, stillSince: null, written: -1, running: [], lookedAt: null, warning: null };

export interface Decision {
  readonly memory: Memory;
  /** null: it goes on. */
  readonly end: WatchdogReason | null;
}

/** When half of its time is over, a job that seems to have stalled is warned of. */
const warnAfter = 0.5;

/** Needs no look at anything: whatever can't be read on the machine, this holds. */
export function isTimeOver(order: ArmedOrder, now: Moment): boolean {
  return remainingMs(order, now) <= leadMs(order);
}

/** `look` is called when it is time for one. */
export async function decide(order: ArmedOrder, now: Moment, look: () => Sight, memory: Memory): Promise<Decision> {
  if (isTimeOver(order, now)) return { memory, end: order.why };
  if (memory.lookedAt !== null && passedMs(memory.lookedAt, now) < lookEveryMs(order)) return { memory, end: null };
  const sight = look();
  const looked = { ...memory, lookedAt: now };
  return sight.jobs > 0
    ? await decideStall(order, sight, { ...looked, idleSince: null })
    : await decideIdle(order, sight, { ...looked, stillSince: null, written: -1, warning: null });
}

async function decideIdle({ idleSeconds, onEnd }: ArmedOrder, { now, somebody, gpus }: Sight, memory: Memory): Promise<Decision> {
  const going: Decision = { memory: { ...memory, idleSince: null }, end: null };
  if (idleSeconds === null || onEnd === 'leave' || (await somebody())) return going;
  const use = await gpus();
  if (use === 'works' || use === 'unknown') return going;
  const idleSince = memory.idleSince ?? now;
  return { memory: { ...memory, idleSince }, end: passedMs(idleSince, now) >= idleSeconds * 1000 ? 'idle' : null };
}

async function decideStall({ stallSeconds }: ArmedOrder, { now, running, written, gpus }: Sight, memory: Memory): Promise<Decision> {
  const going: Decision = { memory: { ...memory, stillSince: null, running, written, warning: null }, end: null };
  const isAsBefore = written === memory.written && running.join() === memory.running.join(); // no job pays for the silence of another
  if (stallSeconds === null || !isAsBefore || (await gpus()) !== 'idle') return going;
  const stillSince = memory.stillSince ?? now;
  const stillMs = passedMs(stillSince, now);
  const limitMs = stallSeconds * 1000;
  const warning = stillMs < limitMs * warnAfter ? null : stallWarning(stallSeconds);
  return { memory: { ...memory, stillSince, warning }, end: stillMs >= limitMs ? 'stalled' : null };
}

function stallWarning(stallSeconds: number): string {
  return `The job has written nothing, and no GPU has worked, for ${span(stallSeconds * warnAfter)}. After ${span(stallSeconds)} it is told to end (--stall, limits.stall).`;
}

/** Looking costs some milliseconds, and a call of the driver: for long limits more seldom, never more than a twentieth late. */
function lookEveryMs({ idleSeconds, stallSeconds }: ArmedOrder): number {
  const limit = Math.min(idleSeconds ?? Number.POSITIVE_INFINITY, stallSeconds ?? Number.POSITIVE_INFINITY);
  return Math.min(Math.max(limit * 50, 1_000), 30_000);
}

function span(seconds: number): string {
  return seconds < 120 ? `${Math.round(seconds)} seconds` : `${Math.round(seconds / 60)} minutes`;
}
