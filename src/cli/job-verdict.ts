/** What a job's end means for the call: the command's own exit code where there is one, an error of ours where there is none. */
import { type ErrorCode, GpuRunError } from '../core/errors.ts';
import type { JobEntry } from '../core/job.ts';
import type { EndReason } from '../protocol/job.ts';
import { endLine } from './render/job-view.ts';

export interface Verdict {
  /** The job's own; 0 while it has none. */
  readonly exitCode: number;
  /** Comes before the exit code. */
  readonly failure: GpuRunError | null;
}

/** Of ends without an exit code, and of those whose exit code says nothing. */
const endCodes: Readonly<Record<EndReason, ErrorCode>> = {
  lost: 'lost',
  deadline: 'deadline',
  budget: 'budget',
  stalled: 'interrupted',
  preempted: 'preempted',
  cancelled: 'interrupted',
  'not-started': 'bad-input',
  setup: 'bad-input',
  exit: 'protocol',
  signal: 'protocol',
};

const whatHelps: Readonly<Partial<Record<EndReason, string>>> = {
  lost: 'gpu-run train   starts it again',
  preempted: 'gpu-run train   starts it again',
  deadline: 'Give more time with --max-time.',
  budget: 'Give more with --budget.',
  stalled: 'Where that is as it should be, give it longer with --stall, or --stall off.',
};

const cutShort: ReadonlySet<EndReason> = new Set(['preempted', 'deadline', 'budget', 'stalled']);

/** Something that may still bill counts more than how the job ended. */
export function verdictOf(job: JobEntry, leftovers: readonly string[]): Verdict {
  const exitCode = job.end?.code ?? 0;
  if (leftovers.length > 0) return { exitCode, failure: stillBilling(leftovers) };
  // A job that was cut short may well have ended with 0 once it had saved its work: it is not done all the same.
  if (job.end === null || (job.end.code !== null && !cutShort.has(job.end.reason))) return { exitCode, failure: null };
  const hints = [helpFor(job, job.end.reason) ?? `gpu-run logs ${job.id}   shows what it wrote`];
  return { exitCode, failure: new GpuRunError(endCodes[job.end.reason], `${endLine(job)}.`, { hints }) };
}

function helpFor({ attempts }: JobEntry, reason: EndReason): string | undefined {
  const again = (reason === 'preempted' || reason === 'lost') && attempts === 1;
  if (again) return `${whatHelps[reason]}; with retry: in gpu-run.yaml that happens by itself`;
  return reason === 'preempted' || reason === 'lost' ? `${whatHelps[reason]} from nothing, with --start-from FOLDER from a checkpoint` : whatHelps[reason];
}

/** @param leftovers in words, with the command that ends each */
export function stillBilling(leftovers: readonly string[]): GpuRunError {
  return new GpuRunError('still-billing', 'Something is left that may still be billing.', { hints: leftovers });
}

export function failureOfLeftovers(leftovers: readonly string[]): GpuRunError | null {
  return leftovers.length === 0 ? null : stillBilling(leftovers);
}
