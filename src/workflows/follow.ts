/** `logs`: replays and follows a job, over dropped connections, and from the laptop's copy when the machine is gone. */
import { GpuRunError, toGpuRunError } from '../core/errors.ts';
import type { JobEntry, JobRecord } from '../core/job.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { RunnerClient } from '../runner/client.ts';
import { followJob } from '../runner/follow.ts';
import { warnOfBudget } from './budget-warnings.ts';
import type { RunContext } from './context.ts';
import { countPulled } from './cost-egress.ts';
import { machineOf } from './find.ts';
import { copiedBytes, copiedLog, copiedRecords, hasCopy, JobCopy } from './job-copy.ts';
import type { OnJobEvent } from './job-event.ts';
import { keepJob } from './keep-job.ts';
import { isGone, isMachineOver, type ReachedMachine, reachOrLose } from './reach-machine.ts';

export interface FollowInput {
  readonly jobId: string;
  /** Byte offset in the log to start from; negative: so many bytes before the present end. */
  readonly after: number;
  /** Only the last N lines of what is there; null: all. Not together with `after`. */
  readonly tailLines: number | null;
  /** Wait for more until the job has ended. */
  readonly follow: boolean;
}

/** @throws GpuRunError `not-found`, `bad-input` (offset beyond the end), `lost` (machine gone and no copy here), `connection` */
export async function follow(input: FollowInput, context: RunContext, onEvent: OnJobEvent): Promise<JobEntry> {
  const job = context.ledger.getJob(input.jobId);
  if (job === null) throw new GpuRunError('not-found', `There is no job '${input.jobId}'.`);
  const machine = machineOf(job, context);
  if (machine.state === 'gone') return replayCopy(job, input, context, onEvent);
  let first: ReachedMachine;
  try {
    first = await reachOrLose(machine, context);
  } catch (error) {
    if (!isGone(error)) throw error;
    return replayCopy(context.ledger.getJob(job.id) ?? job, input, context, onEvent);
  }
  const logOffset = await startOffset(first.runner, input);
  return followFrom({ job, machine, logOffset, record: 0, follow: input.follow, first }, context, onEvent);
}

export interface FollowFrom {
  readonly job: JobEntry;
  readonly machine: MachineEntry;
  readonly logOffset: number;
  /** Records up to this number are known already. */
  readonly record: number;
  readonly follow: boolean;
  /** An open connection to begin with; closed here. */
  readonly first: ReachedMachine;
}

/** Streams events, keeps copy and ledger up to date, connects again by itself; returns the job as it stands at the end. */
export async function followFrom(from: FollowFrom, context: RunContext, onEvent: OnJobEvent): Promise<JobEntry> {
  const copy = openCopy(from.job.id, context);
  const tell = inTurn(onEvent);
  using counted = countPulled(from.machine, from.job.id, context);
  await using _warnings = from.follow ? warnOfBudget(from.machine, tell, context) : null;
  let job = from.job;
  let open: ReachedMachine | null = from.first;
  const connect = async (): Promise<RunnerClient> => {
    const fresh = open ?? (await reachOrLose(from.machine, context));
    current = fresh;
    open = null;
    return fresh.runner;
  };
  let current: ReachedMachine = from.first;
  try {
    const parts = followJob({
      connect,
      release: () => current[Symbol.asyncDispose](),
      jobId: job.id,
      logOffset: from.logOffset,
      record: from.record,
      follow: from.follow,
      clock: context.clock,
      signal: context.signal,
      isOver: () => isMachineOver(from.machine, context),
      onLink: (state, text) => context.reporter.report({ type: 'link', state, text }),
    });
    for await (const part of parts) {
      if (part.type === 'log') {
        copy.keep((files) => files.writeLog(part.offset, part.bytes));
        counted.add(part.bytes.length);
        await tell(part);
      } else {
        const { record } = part;
        copy.keep((files) => files.writeRecord(record));
        job = noteRecord(job, part.record, context);
        await tell(toEvent(part.record));
      }
    }
    return job;
  } finally {
    copy.close();
    await current[Symbol.asyncDispose]();
  }
}

/** Events come from two sides, the job and its money: one is done with before the next. */
function inTurn(onEvent: OnJobEvent): OnJobEvent {
  let last: Promise<void> = Promise.resolve();
  return (event) => {
    const turn = last.then(() => onEvent(event));
    last = turn.catch(() => {});
    return turn;
  };
}

/** The copy on this computer is a convenience: when it can't be written (a full disk) that is said once, and the job is followed all the same. */
function openCopy(jobId: string, context: RunContext): { keep(write: (files: JobCopy) => void): void; close(): void } {
  let files: JobCopy | null = null;
  const keep = (write: (files: JobCopy) => void) => {
    if (files === null) return;
    try {
      write(files);
    } catch (error) {
      files = null;
      const text = `The log of ${jobId} is not kept on this computer any more: ${toGpuRunError(error).message}`;
      context.reporter.report({ type: 'note', level: 'warn', text });
    }
  };
  try {
    files = new JobCopy(context.home.jobs, jobId);
  } catch (error) {
    context.reporter.report({ type: 'note', level: 'warn', text: `The log of ${jobId} can't be kept on this computer: ${toGpuRunError(error).message}` });
  }
  const opened = files;
  return { keep, close: () => opened?.close() };
}

/** What a record says about the job, kept in the ledger. */
export function noteRecord(job: JobEntry, record: JobRecord, context: Pick<RunContext, 'ledger' | 'clock'>): JobEntry {
  if (record.type !== 'state') return job;
  const started = record.state === 'running' || record.state === 'setup' ? (job.startedAt ?? record.t) : job.startedAt;
  const updated: JobEntry = {
    ...job,
    state: record.state,
    end: record.state === 'ended' ? record.end : null,
    startedAt: started,
    endedAt: record.state === 'ended' ? record.t : null,
    asOf: context.clock.now(),
  };
  return keepJob(updated, context);
}

function toEvent(record: JobRecord): Parameters<OnJobEvent>[0] {
  const at = record.t;
  switch (record.type) {
    case 'metric':
      return { type: 'metric', at, values: record.values, step: record.step, epoch: record.epoch };
    case 'note':
      return { type: 'note', at, level: record.level, text: record.text };
    case 'telemetry':
      return { type: 'gpu', at, span: record.span };
    case 'checkpoint':
      return { type: 'checkpoint', at, path: record.path, bytes: record.bytes, beganAt: record.beganAt, endedAt: record.endedAt };
    case 'state':
      return { type: 'state', at, state: record.state, end: record.state === 'ended' ? record.end : null };
  }
}

async function replayCopy(job: JobEntry, input: FollowInput, context: RunContext, onEvent: OnJobEvent): Promise<JobEntry> {
  const folder = context.home.jobs;
  if (!hasCopy(folder, job.id)) {
    throw new GpuRunError('lost', `The machine of ${job.id} is gone, and nobody followed the job from this computer: there is no log.`);
  }
  let start = input.after < 0 ? Math.max(0, copiedBytes(folder, job.id) + input.after) : input.after;
  if (input.tailLines !== null) start = tailStart([...copiedLog(folder, job.id, 0)], input.tailLines);
  for (const record of copiedRecords(folder, job.id)) if (record.type !== 'state' || record.state !== 'ended') await onEvent(toEvent(record));
  for (const piece of copiedLog(folder, job.id, start)) await onEvent({ type: 'log', ...piece });
  await onEvent({ type: 'state', at: job.endedAt ?? job.asOf, state: 'ended', end: job.end });
  return job;
}

async function startOffset(runner: RunnerClient, input: FollowInput): Promise<number> {
  if (input.tailLines === null && input.after >= 0) return input.after;
  const { jobs } = await runner.call('jobs', {});
  const size = jobs.find((job) => job.id === input.jobId)?.logBytes ?? 0;
  if (input.tailLines === null) return Math.max(0, size + input.after);
  for (let window = 64 * 1024; ; window *= 4) {
    const from = Math.max(0, size - window);
    const pieces = await readLog(runner, input.jobId, from, size);
    const start = tailStart(pieces, input.tailLines);
    if (start > from || from === 0) return start;
  }
}

async function readLog(runner: RunnerClient, id: string, from: number, to: number): Promise<{ offset: number; bytes: Uint8Array }[]> {
  const call = runner.open('follow', { id, logOffset: from, record: Number.MAX_SAFE_INTEGER, follow: false });
  const pieces: { offset: number; bytes: Uint8Array }[] = [];
  for await (const part of call.parts()) if (part.kind === 'block' && part.block.offset < to) pieces.push(part.block);
  await call.result;
  return pieces;
}

/** Where the last `lines` lines begin; the first piece's offset when there are fewer. */
export function tailStart(pieces: readonly { readonly offset: number; readonly bytes: Uint8Array }[], lines: number): number {
  const last = pieces.at(-1);
  if (last === undefined) return 0;
  const end = last.offset + last.bytes.length;
  let left = lines;
  for (const piece of pieces.toReversed()) {
    for (let at = piece.bytes.length - 1; at >= 0; at--) {
      const offset = piece.offset + at;
      // The newline that ends the last line begins no new one.
      if (piece.bytes[at] === 0x0a && offset + 1 < end && --left === 0) return offset + 1;
    }
  }
  return lines === 0 ? end : (pieces[0]?.offset ?? 0);
}
