/** After a job: whether its machine stays up and why, and what it cost. */
import { GpuRunError, LeaveRunning, toGpuRunError } from '../core/errors.ts';
import type { JobEntry } from '../core/job.ts';
import { costOf, costOfBytes } from '../core/money.ts';
import { formatSize } from '../core/size.ts';
import type { JobSpan, MachineEntry } from '../ledger/ledger.ts';
import { isMetricsFile } from '../protocol/metric-files.ts';
import type { PulledFile } from '../sync/pull.ts';
import type { RunContext } from './context.ts';
import { pulledBytes } from './cost-egress.ts';
import { isGone } from './reach-machine.ts';
import { billedSeconds } from './report-cost.ts';
import type { JobCost, TrainInput } from './train-input.ts';

/** The job is over, what it made is still on the machine: which therefore stays. */
export class OutputsNotPulled extends GpuRunError {}

/** Why the machine stays up although it was to go down with the job; null: it goes. */
export function keepsFor({ teardown, keepOnFailure }: TrainInput, { end }: JobEntry, { name }: MachineEntry): string | null {
  if (teardown === 'keep' || !keepOnFailure || end?.code === 0) return null; // as ordered
  return `'${name}' stays up, because the job failed: gpu-run down ${name}`;
}

/** A job that did its work, and of which nothing came, has most likely written elsewhere: null: it is not so. The machine is gone. */
export function madeNothing({ outputs }: TrainInput, { id, end }: JobEntry, pulled: readonly PulledFile[], { name }: MachineEntry): string | null {
  if (outputs.length === 0 || end?.code !== 0 || end.reason === 'cancelled') return null; // some programs end with 0 then
  if (pulled.some(({ path }) => !isMetricsFile(path))) return null;
  return `${id} made nothing at ${outputs.join(', ')}: what it wrote elsewhere went with '${name}'. Name it in outputs, or look for it there after a train with --keep`;
}

export async function reachedDeadline(machine: MachineEntry, context: RunContext): Promise<boolean> {
  const { deadline } = context.ledger.get(machine.id) ?? machine; // it may have been moved while the job ran
  if (context.clock.now() < deadline || machine.ref === null) return false;
  const provider = await context.providers.get(machine.provider);
  return (await provider.describe(machine.ref)).state !== 'running';
}

/**
 * What was interrupted or left alone, and what is still up. `job`: null where it came to none: `--keep` says that the machine stays also then, and nobody
 * who leaves takes it down.
 */
export function explainWhatStays(error: unknown, job: JobEntry | null, takeDown: boolean, machine: MachineEntry, context: RunContext): unknown {
  const failure = toGpuRunError(error);
  if (isGone(failure) || failure instanceof OutputsNotPulled || failure.code === 'still-billing') return error;
  const stays = `'${machine.name}' stays up ($${machine.offer.price.perHour.toFixed(2)} an hour): gpu-run down ${machine.name}   ends it`;
  const isLeft = context.signal.reason instanceof LeaveRunning;
  if (job === null) {
    if (!machine.forOneJob || (takeDown && !isLeft)) return error;
    const { code, message, retry, cause, attempts } = failure;
    return new GpuRunError(code, message, { hints: [...failure.hints, stays], retry, cause, attempts });
  }
  const follows = `gpu-run logs ${job.id} --follow`;
  if (isLeft) return new GpuRunError('interrupted', `Left: ${job.id} goes on.`, { cause: error, hints: [`${follows}   shows it`, stays] });
  if (failure.code === 'interrupted') return new GpuRunError('interrupted', `${job.id} was interrupted.`, { cause: error, hints: takeDown ? [] : [stays] });
  return new GpuRunError(failure.code, failure.message, {
    cause: error,
    hints: [...failure.hints, `${job.id} may go on: ${follows}`, stays],
  });
}

/**
 * Each job tells its own part; the last one on a machine that was rented for jobs also what lies before, between and behind them: together
 * that is the bill. What `job` says of its time and GPUs is that on this machine.
 */
export function jobCost(job: JobEntry, machine: MachineEntry, context: Pick<RunContext, 'ledger' | 'clock'>): JobCost {
  const now = context.clock.now();
  const seconds = secondsOf(job, now) * shareOf(job);
  const gone = machine.state === 'gone' && machine.forOneJob;
  const others = gone ? otherSpans(job, machine, context) : [];
  const whole = gone && others.every((other) => isBefore(other, job, now));
  const othersSeconds = others.reduce((sum, other) => sum + secondsOf(other, now) * other.share, 0);
  const billed = whole ? Math.max(0, billedSeconds(machine, now) - othersSeconds) : seconds;
  const usd = costOf(machine.offer.price, billed);
  const text = `${machine.offer.provider} ${machine.offer.type}, ${Math.round(billed)} s at $${machine.offer.price.perHour.toFixed(2)}/h${whole && others.length > 0 ? ', what its other jobs have left of the bill' : sharedWords(job)}`;
  const gpuSeconds = secondsOf(job, now) * (job.gpus?.count ?? machine.offer.gpu?.count ?? 0);
  const time = { text, usd };
  const { egress } = machine.offer;
  if (egress === undefined) return { usd, gpuSeconds, items: [time] };
  const { pulled = {} } = context.ledger.get(machine.id) ?? machine; // the entry here is from before the job
  const bytes = whole
    ? pulledBytes(pulled) - [...new Set(others.map(({ id }) => id))].reduce((sum, id) => sum + pulledBytes(pulled, id), 0)
    : pulledBytes(pulled, job.id);
  const out = { text: `egress, an estimate: ${formatSize(bytes)} at $${egress.perGb.toFixed(2)}/GB`, usd: costOfBytes(egress.perGb, bytes) };
  return { usd: usd + out.usd, gpuSeconds, items: [time, out] };
}

/** Also of jobs that have gone on elsewhere since. */
function otherSpans(job: JobEntry, machine: MachineEntry, { ledger }: Pick<RunContext, 'ledger'>): JobSpan[] {
  return ledger.jobSpans({ since: machine.createdAt }).filter(({ id, machineId }) => machineId === machine.id && id !== job.id);
}

/** Of two that end with their machine, one is the last. */
function isBefore(other: JobSpan, job: JobEntry, now: number): boolean {
  const [end, ownEnd] = [other.endedAt ?? now, job.endedAt ?? now];
  return end < ownEnd || (end === ownEnd && other.id < job.id);
}

/** Of the machine: jobs that run side by side cost what their GPUs cost. */
export function shareOf({ gpus = null }: JobEntry): number {
  return gpus === null ? 1 : gpus.count / gpus.of;
}

function sharedWords({ gpus = null }: JobEntry): string {
  return gpus === null ? '' : `, its part: ${gpus.count} of ${gpus.of} GPUs`;
}

function secondsOf({ startedAt, endedAt }: Pick<JobEntry, 'startedAt' | 'endedAt'>, now: number): number {
  return Math.max(0, (endedAt ?? now) - (startedAt ?? endedAt ?? now)) / 1000;
}
