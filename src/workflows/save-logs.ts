/** Before a machine goes: what its jobs have printed and nobody here has followed yet, so that `logs` works afterwards. */
import { toGpuRunError } from '../core/errors.ts';
import { attemptStart, type JobEntry, jobIdOf, runnerJobId } from '../core/job.ts';
import { formatSize } from '../core/size.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { JobSummary } from '../protocol/job.ts';
import type { LogStream } from '../protocol/log.ts';
import type { RunContext } from './context.ts';
import { followFrom } from './follow-from.ts';
import { copiedBytes, copiedUpTo, hasCopy, lastCopiedRecord } from './job-copy.ts';
import { type ReachedMachine, reachMachine } from './reach-machine.ts';

/** A machine that sends nothing for so long is as good as dead, and has to go. */
const quietMs = 30_000;
/** It costs money meanwhile: what takes longer is left behind. */
const atMostMs = 1_800_000;
const lookEveryMs = 1_000;

/**
 * Waits while bytes come, and says exactly what is missing when none do any more, or when the user does not want to wait. Never fails:
 * the machine has to go.
 */
export async function saveLogs(machine: MachineEntry, context: RunContext): Promise<void> {
  if (machine.state !== 'ready') return;
  const behind = context.ledger.listJobs({ machineId: machine.id }).filter((job) => !isCopied(job, context));
  if (behind.length === 0) return;
  const { reporter } = context;
  const totals: Totals = new Map();
  let isWhole = true;
  using patience = createPatience(context);
  reporter.report({ type: 'phase', phase: 'logs', status: 'begin', text: 'Copying logs' });
  for (const job of behind) {
    // What is wrong with one log is no reason to leave another behind; what is wrong with the machine, or with our patience, is one.
    const trouble = whyStop(patience, context) ?? (await copyLog(job, machine, totals, patience, context));
    if (trouble === null) continue;
    isWhole = false;
    reporter.report({ type: 'note', level: 'warn', text: whatIsMissing(job, totals, trouble, context) });
  }
  if (isWhole) reporter.report({ type: 'phase', phase: 'logs', status: 'end', text: 'Logs are on this computer' });
}

/** Bytes of each job's logs, as far as the machine has told. */
type Totals = Map<string, Readonly<Record<LogStream, number>>>;

/** All is here, up to the end of the job. */
function isCopied(job: JobEntry, { home }: RunContext): boolean {
  const record = lastCopiedRecord(home.jobs, job.id);
  if (record?.type !== 'state' || record.state !== 'ended' || record.n <= attemptStart(job).records) return false;
  return copiedBytes(home.jobs, job.id, 'out') >= record.logOffset && copiedBytes(home.jobs, job.id, 'err') >= (record.errOffset ?? 0);
}

function whyStop(patience: Patience, { signal }: RunContext): string | null {
  return signal.aborted ? 'interrupted.' : patience.why();
}

/** null: all that there was is here; else why not. */
async function copyLog(job: JobEntry, machine: MachineEntry, totals: Totals, patience: Patience, context: RunContext): Promise<string | null> {
  const { home, reporter } = context;
  const limited: RunContext = { ...context, signal: AbortSignal.any([context.signal, patience.signal]) };
  try {
    const first = await reachAndCount(machine, totals, limited);
    patience.renew();
    if (!totals.has(job.id) && !hasCopy(home.jobs, job.id)) {
      await first[Symbol.asyncDispose](); // it never arrived there
      return null;
    }
    const record = copiedUpTo(home.jobs, job.id);
    const logOffset = copiedBytes(home.jobs, job.id, 'out');
    const errOffset = copiedBytes(home.jobs, job.id, 'err');
    const { out, err } = totals.get(job.id) ?? { out: logOffset, err: errOffset };
    const total = Math.max(0, out - logOffset) + Math.max(0, err - errOffset);
    let done = 0;
    let isKept = true;
    const onUnkept = () => {
      isKept = false;
    };
    const proves = out >= logOffset && err >= errOffset; // what a power cut has taken there stays here, as it ends the job
    const from = { job, machine, logOffset, errOffset, record, follow: false, proves, first, onHeard: patience.renew, onUnkept };
    await followFrom(from, limited, (event) => {
      patience.renew();
      if (event.type === 'log') done += event.bytes.length;
      else if (event.type === 'gap') done += event.to - event.from;
      else return;
      reporter.report({ type: 'progress', phase: 'logs', done, total: Math.max(total, done), unit: 'bytes' });
    });
    return isKept ? null : 'it could not be written here.';
  } catch (error) {
    return whyStop(patience, context) ?? toGpuRunError(error).message;
  }
}

async function reachAndCount(machine: MachineEntry, totals: Totals, context: RunContext): Promise<ReachedMachine> {
  const reached = await reachMachine(machine, context);
  try {
    const { jobs } = await reached.runner.call('jobs', {});
    for (const summary of jobs) noteTotal(summary, totals, context);
    return reached;
  } catch (error) {
    await reached[Symbol.asyncDispose]();
    throw error;
  }
}

function noteTotal({ id, logBytes, errBytes = 0 }: JobSummary, totals: Totals, { ledger }: RunContext): void {
  const job = ledger.getJob(jobIdOf(id));
  if (job === null || runnerJobId(job) !== id) return; // an earlier attempt
  const start = attemptStart(job);
  totals.set(job.id, { out: start.logBytes + logBytes, err: start.errBytes + errBytes });
}

interface Patience extends Disposable {
  readonly signal: AbortSignal;
  /** Something came. */
  renew(): void;
  /** null: it was not the end of our patience. */
  why(): string | null;
}

/** Counts its own looks, not the clock: while this computer sleeps, nobody waits. */
function createPatience({ clock }: RunContext): Patience {
  const over = new AbortController();
  const done = new AbortController();
  let waitedMs = 0;
  let sinceMs = 0;
  let why: string | null = null;
  const watch = async () => {
    while (why === null) {
      await clock.sleep(lookEveryMs, done.signal);
      waitedMs += lookEveryMs;
      if (waitedMs - sinceMs >= quietMs) why = `the machine sent nothing for ${quietMs / 1000} s.`;
      else if (waitedMs >= atMostMs) why = `it took longer than ${atMostMs / 60_000} minutes.`;
    }
    over.abort();
  };
  watch().catch(() => {}); // done
  return {
    signal: over.signal,
    renew: () => {
      sinceMs = waitedMs;
    },
    why: () => why,
    [Symbol.dispose]: () => done.abort(),
  };
}

function whatIsMissing({ id }: JobEntry, totals: Totals, trouble: string, { home }: RunContext): string {
  const total = totals.get(id);
  const missing = (['out', 'err'] as const).flatMap((stream) => {
    const have = copiedBytes(home.jobs, id, stream);
    const all = total?.[stream] ?? null;
    const name = stream === 'err' ? ' of its stderr' : '';
    if (all === null) return stream === 'out' ? [`what came behind byte ${have}`] : [];
    return all > have ? [`bytes ${have} to ${all}${name} (${formatSize(all - have)})`] : [];
  });
  return `Of the log of ${id} this computer lacks ${missing.length === 0 ? 'how the job ended' : missing.join(' and ')}: ${trouble}`;
}
