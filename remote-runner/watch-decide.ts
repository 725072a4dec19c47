/** When the watchdog acts: a function of what it sees, so that days pass in a test within a moment. */
import type { WatchdogReason } from '../src/protocol/watchdog.ts';
import type { GpuUse } from './busy.ts';
import { type ArmedOrder, leadMs, type Moment, passedMs, remainingMs } from './watch-order.ts';

/** One look at the machine. */
export interface Sight {
  readonly now: Moment;
  /** Jobs that have not ended. */
  readonly jobs: number;
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
  readonly lookedAt: Moment | null;
}

export const nothingSeen: Memory = { idleSince: null, stillSince: null, written: -1, lookedAt: null };

export interface Decision {
  readonly memory: Memory;
  /** null: it goes on. */
  readonly end: WatchdogReason | null;
  /** For whoever follows the job; null: nothing to tell. */
  readonly warning: string | null;
}

/** When half of its time is over, a job that seems to have stalled is warned of. */
const warnAfter = 0.5;

export async function decide(order: ArmedOrder, sight: Sight, memory: Memory): Promise<Decision> {
  const { now } = sight;
  if (remainingMs(order, now) <= leadMs(order)) return { memory, end: order.why, warning: null };
  if (memory.lookedAt !== null && passedMs(memory.lookedAt, now) < lookEveryMs(order)) return { memory, end: null, warning: null };
  const looked = { ...memory, lookedAt: now };
  return sight.jobs > 0 ? decideStall(order, sight, { ...looked, idleSince: null }) : decideIdle(order, sight, { ...looked, stillSince: null, written: -1 });
}

async function decideIdle({ idleSeconds, onEnd }: ArmedOrder, { now, somebody, gpus }: Sight, memory: Memory): Promise<Decision> {
  const going: Decision = { memory: { ...memory, idleSince: null }, end: null, warning: null };
  if (idleSeconds === null || onEnd === 'leave' || (await somebody())) return going;
  const use = await gpus();
  if (use === 'works' || use === 'unknown') return going;
  const idleSince = memory.idleSince ?? now;
  return { memory: { ...memory, idleSince }, end: passedMs(idleSince, now) >= idleSeconds * 1000 ? 'idle' : null, warning: null };
}

async function decideStall({ stallSeconds }: ArmedOrder, { now, written, gpus }: Sight, memory: Memory): Promise<Decision> {
  const going: Decision = { memory: { ...memory, stillSince: null, written }, end: null, warning: null };
  if (stallSeconds === null || written !== memory.written || (await gpus()) !== 'idle') return going;
  const stillSince = memory.stillSince ?? now;
  const stillMs = passedMs(stillSince, now);
  const limitMs = stallSeconds * 1000;
  return {
    memory: { ...memory, stillSince },
    end: stillMs >= limitMs ? 'stalled' : null,
    warning:
      stillMs < limitMs * warnAfter ? null : `It has written nothing, and no GPU has worked, for half of the ${span(stallSeconds)} after which it is ended.`,
  };
}

/** Looking costs some milliseconds, and a call of the driver: for long limits more seldom, never more than a twentieth late. */
function lookEveryMs({ idleSeconds, stallSeconds }: ArmedOrder): number {
  const limit = Math.min(idleSeconds ?? Number.POSITIVE_INFINITY, stallSeconds ?? Number.POSITIVE_INFINITY);
  return Math.min(Math.max(limit * 50, 1_000), 30_000);
}

function span(seconds: number): string {
  return seconds < 120 ? `${seconds} seconds` : `${Math.round(seconds / 60)} minutes`;
}
