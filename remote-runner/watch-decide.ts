/** When the watchdog acts: a function of what it sees, so that days pass in a test within a moment. */
import type { WatchdogReason } from '../src/protocol/watchdog.ts';
import { type GpuUses, useOf } from './busy.ts';
import { type ArmedOrder, leadMs, type Moment, passedMs, remainingMs } from './watch-order.ts';

/** A job that waits for nobody. */
export interface RunningJob {
  readonly id: string;
  /** Bytes that it has written so far; any change is a sign of life. */
  readonly written: number;
  /** Indexes of its GPUs; null: all. */
  readonly gpus: readonly number[] | null;
}

/** One look at the machine. */
export interface Sight {
  readonly now: Moment;
  /** Jobs that have not ended. */
  readonly jobs: number;
  readonly running: readonly RunningJob[];
  /** Asked only when the rest does not settle it. */
  readonly somebody: () => Promise<boolean>;
  readonly gpus: () => Promise<GpuUses>;
}

/** A job that has given no sign of life. */
interface Still {
  readonly written: number;
  /** null: it has just been seen for the first time, or has just worked. */
  readonly since: Moment | null;
}

/** What it remembers from look to look. */
export interface Memory {
  readonly idleSince: Moment | null;
  /** By the job's id. */
  readonly still: Readonly<Record<string, Still>>;
  readonly lookedAt: Moment | null;
  /** For whoever follows a job, by its id, as long as it holds. */
  readonly warnings: Readonly<Record<string, string>>;
}

export const nothingSeen: Memory = { idleSince: null, still: {}, lookedAt: null, warnings: {} };

export interface Decision {
  readonly memory: Memory;
  /** null: it goes on. */
  readonly end: WatchdogReason | null;
  /** Ids of the jobs that end; null: all that are there, and the machine where that was ordered. */
  readonly jobs: readonly string[] | null;
}

/** When half of its time is over, a job that seems to have stalled is warned of. */
const warnAfter = 0.5;

/** Clocks that tell how long a machine has been up may tell it in hundredths of a second. */
const shortestQuietMs = 100;

/** Needs no look at anything: whatever can't be read on the machine, this holds. */
export function isTimeOver(order: ArmedOrder, now: Moment): boolean {
  return remainingMs(order, now) <= leadMs(order);
}

/** How long nothing is to be decided, milliseconds, as far as time alone tells. */
export function quietMs(order: ArmedOrder, now: Moment, { lookedAt }: Memory): number {
  const untilLook = lookedAt === null ? 0 : lookEveryMs(order) - passedMs(lookedAt, now);
  return Math.max(shortestQuietMs, Math.min(remainingMs(order, now) - leadMs(order), untilLook));
}

/** `look` is called when it is time for one. */
export async function decide(order: ArmedOrder, now: Moment, look: () => Sight, memory: Memory): Promise<Decision> {
  if (isTimeOver(order, now)) return { memory, end: order.why, jobs: null };
  if (memory.lookedAt !== null && passedMs(memory.lookedAt, now) < lookEveryMs(order)) return { memory, end: null, jobs: null };
  const sight = look();
  const looked = { ...memory, lookedAt: now };
  return sight.jobs > 0
    ? await decideStall(order, sight, { ...looked, idleSince: null })
    : await decideIdle(order, sight, { ...looked, still: {}, warnings: {} });
}

async function decideIdle({ idleSeconds, onEnd }: ArmedOrder, { now, somebody, gpus }: Sight, memory: Memory): Promise<Decision> {
  const going: Decision = { memory: { ...memory, idleSince: null }, end: null, jobs: null };
  if (idleSeconds === null || onEnd === 'leave' || (await somebody())) return going;
  const use = useOf(await gpus(), null);
  if (use === 'works' || use === 'unknown') return going;
  const idleSince = memory.idleSince ?? now;
  return { memory: { ...memory, idleSince }, end: passedMs(idleSince, now) >= idleSeconds * 1000 ? 'idle' : null, jobs: null };
}

/** No job pays for the silence of another, and none is saved by another's work. */
async function decideStall({ stallSeconds, onEnd }: ArmedOrder, { now, running, gpus }: Sight, memory: Memory): Promise<Decision> {
  const silent = stallSeconds === null ? [] : running.filter(({ id, written }) => memory.still[id]?.written === written);
  const uses = silent.length === 0 ? 'unknown' : await gpus();
  const limitMs = (stallSeconds ?? Number.POSITIVE_INFINITY) * 1000;
  const still: Record<string, Still> = {};
  const warnings: Record<string, string> = {};
  const stalled: string[] = [];
  for (const job of running) {
    const isStill = silent.includes(job) && useOf(uses, job.gpus) === 'idle';
    const since = isStill ? (memory.still[job.id]?.since ?? now) : null;
    const stillMs = since === null ? 0 : passedMs(since, now);
    still[job.id] = { written: job.written, since };
    if (since === null) continue;
    if (stillMs >= limitMs * warnAfter) warnings[job.id] = stallWarning(limitMs / 1000);
    if (stillMs >= limitMs) stalled.push(job.id);
  }
  const others = onEnd === 'leave' || stalled.length < running.length; // then the machine goes on
  return { memory: { ...memory, still, warnings }, end: stalled.length > 0 ? 'stalled' : null, jobs: others ? stalled : null };
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
