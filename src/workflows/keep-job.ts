/** What was learnt of a job goes into the ledger. Several followers learn at their own pace: an end is never taken back by old news, nor an attempt by news of the one before. */
import { toGpuRunError } from '../core/errors.ts';
import { type JobEnd, type JobEntry, runnerJobId } from '../core/job.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { RunContext } from './context.ts';
import { downDetail, downReason, saysPreempted } from './end-reason.ts';

export function keepJob(job: JobEntry, context: Pick<RunContext, 'ledger'>): JobEntry {
  return context.ledger.changeJob(job.id, (known) => (known === null ? job : isOlder(job, known) ? null : withIntents(job, known))) ?? job;
}

/** What the runner does not tell, and only whoever runs the job changes: others know it as it was when they began to follow. */
const intents: ReadonlySet<string> = new Set<keyof JobEntry>(['again', 'awaitedBy', 'retriedBy', 'checkpoints', 'cancelAsked', 'arrived']);

function withIntents(job: JobEntry, known: JobEntry): JobEntry {
  if (known.attempts !== job.attempts) return job;
  const part = (entry: JobEntry, isIntent: boolean) => Object.entries(entry).filter(([name]) => intents.has(name) === isIntent);
  return Object.fromEntries([...part(job, false), ...part(known, true)]) as unknown as JobEntry;
}

function isOlder(job: JobEntry, known: JobEntry): boolean {
  if (known.attempts > job.attempts) return true;
  const isSure = known.attempts === job.attempts && !isGuess(known.end);
  if (isSure && known.state === 'ended' && job.state !== 'ended') return true;
  return isSure && known.end?.reason === 'cancelled'; // perhaps only here: its next attempt was
}

/** Between the last try to send a job and its arrival on the machine, milliseconds: after longer than that whoever was sending it has died. */
const sentWithinMs = 30_000;
/** How guesses end: a runner that knows the job knows better. */
const neverRan = 'it never ran';
const forgotten = 'its machine knows nothing of it any more';

function isGuess(end: JobEnd | null): boolean {
  return [neverRan, forgotten].some((guess) => end?.detail?.endsWith(guess) === true);
}

/** Its machine may not know it yet. */
export function isOnItsWay({ state, asOf }: JobEntry, { clock }: Pick<RunContext, 'clock'>): boolean {
  return state === 'queued' && clock.now() - asOf < sentWithinMs;
}

/** What seems to have been sent in the future was sent before the clock was set back: it has as long as any other from now on. Returns what is known. */
export function heedClock(jobId: string, { ledger, clock }: Pick<RunContext, 'ledger' | 'clock'>): JobEntry | null {
  const now = clock.now();
  return ledger.changeJob(jobId, (known) => (known !== null && known.state !== 'ended' && known.asOf > now ? { ...known, asOf: now } : null));
}

/** Whoever sends it is at it now. */
export function noteSending({ id, attempts }: JobEntry, { ledger, clock }: Pick<RunContext, 'ledger' | 'clock'>): void {
  ledger.changeJob(id, (known) => (known?.state === 'queued' && known.attempts === attempts ? { ...known, asOf: clock.now() } : null));
}

/** Its machine has taken it. */
export function noteArrived({ id, attempts }: JobEntry, { ledger }: Pick<RunContext, 'ledger'>): void {
  ledger.changeJob(id, (known) => (known?.attempts === attempts && known.arrived !== true ? { ...known, arrived: true } : null));
}

/** What a machine has told when. */
interface Told {
  /** Those that its runner knows. */
  readonly ids: ReadonlySet<string>;
  /** When it was asked, milliseconds since the epoch: of what was sent later it says nothing. */
  readonly asked: number;
}

/** Closes the jobs of a machine that never got there, or are there no more. */
export function closeUnsent(machine: MachineEntry, there: Told, context: Pick<RunContext, 'ledger' | 'clock'>): void {
  const now = context.clock.now();
  for (const { id, state, asOf } of context.ledger.listJobs({ machineId: machine.id })) if (state !== 'ended' && asOf > now) heedClock(id, context);
  const detailOf = ({ startedAt, arrived = false }: JobEntry) =>
    startedAt === null && !arrived ? `the gpu-run that was sending it died: ${neverRan}` : forgotten;
  const endOf = (job: JobEntry): JobEnd => ({ code: null, signal: null, reason: 'lost', detail: detailOf(job) });
  const isUnsent = (job: JobEntry) => job.state !== 'ended' && !there.ids.has(runnerJobId(job)) && there.asked - job.asOf >= sentWithinMs;
  for (const { id } of context.ledger.listJobs({ machineId: machine.id }).filter(isUnsent)) {
    const close = (job: JobEntry): JobEntry => ({ ...job, state: 'ended', end: endOf(job), endedAt: now, asOf: now });
    context.ledger.changeJob(id, (job) => (job?.machineId === machine.id && isUnsent(job) ? close(job) : null));
  }
}

/** Its outputs are here, or nobody goes on trying: its machine need not stay for them. */
export function noteUnawaited(job: JobEntry, { ledger }: Pick<RunContext, 'ledger'>): void {
  ledger.changeJob(job.id, (known) => ({ ...(known ?? job), awaitedBy: null }));
}

/** Its machine does not know it, and nobody will send it again. `why`: what kept it from being sent. */
export function closeNeverRan(job: JobEntry, why: unknown, { ledger, clock }: Pick<RunContext, 'ledger' | 'clock'>): void {
  const { code, message } = toGpuRunError(why);
  const end: JobEnd =
    code === 'interrupted'
      ? { code: null, signal: null, reason: 'cancelled', detail: neverRan }
      : { code: null, signal: null, reason: 'not-started', detail: `${message.replace(/\.$/, '')}: ${neverRan}` };
  const ended = { state: 'ended', end, endedAt: clock.now(), asOf: clock.now() } as const;
  ledger.changeJob(job.id, (known) =>
    known !== null && (known.attempts !== job.attempts || known.state === 'ended') ? null : { ...(known ?? job), ...ended },
  );
}

/** The machine is gone, and what was running on it with it. */
export function closeJobs(machine: MachineEntry, reason: string, context: Pick<RunContext, 'ledger' | 'clock'>): void {
  const now = context.clock.now();
  for (const { id } of context.ledger.listJobs({ machineId: machine.id }).filter(({ state }) => state !== 'ended')) {
    const why = saysPreempted(reason) ? 'preempted' : 'lost';
    const end = { code: null, signal: null, reason: why, detail: reason === downReason ? downDetail : `the machine ended: ${reason}` } as const;
    const close = (job: JobEntry): JobEntry => ({ ...job, state: 'ended', end, endedAt: now, asOf: now });
    context.ledger.changeJob(id, (job) => (job !== null && job.state !== 'ended' && job.machineId === machine.id ? close(job) : null));
  }
}
