/** Follows a job on its machine: events for the caller, the copy on this computer, the ledger. */
import { attemptStart, type JobEntry, type JobRecord } from '../core/job.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { LogProof, LogStream } from '../protocol/log.ts';
import type { RunnerClient } from '../runner/client.ts';
import type { LogPart } from '../runner/follow.ts';
import { warnOfBudget } from './budget-warnings.ts';
import type { RunContext } from './context.ts';
import { copiedProof } from './copied-proof.ts';
import { countPulled } from './cost-egress.ts';
import { followAttempt } from './follow-attempt.ts';
import { type FollowInput, shows } from './follow-input.ts';
import { type CopiedPart, copiedWithin } from './job-copy.ts';
import { type LogEvent, type OnJobEvent, toEvent } from './job-event.ts';
import { keepJob } from './keep-job.ts';
import { sendMetrics } from './mlflow-send.ts';
import { type OpenCopy, openCopy } from './open-copy.ts';
import { isMachineOver, type ReachedMachine, reachOrLose } from './reach-machine.ts';
import { createStamper } from './stamp-log.ts';

/** `streams`: the other one is not fetched at all. */
export interface FollowFrom extends Pick<FollowInput, 'streams' | 'stamped'> {
  readonly job: JobEntry;
  readonly machine: MachineEntry;
  /** In the log of all attempts; only the present one is followed. */
  readonly logOffset: number;
  /** In stderr's own log; absent: 0. */
  readonly errOffset?: number;
  /** Bytes from here on are kept, but not shown; absent: all are shown. */
  readonly until?: Readonly<Record<LogStream, number>>;
  /** Records up to this number, of all attempts, are known already. */
  readonly record: number;
  readonly follow: boolean;
  /** The log goes on behind the copy on this computer: the machine is to compare the end of that first. */
  readonly proves?: boolean;
  /** false: its metrics are sent to MLflow by the caller; absent: by us, who wait for that at the end, if it is followed. */
  readonly sends?: boolean;
  /** An open connection to begin with; closed here. */
  readonly first: ReachedMachine;
  /** Bytes have come, see `followJob`. */
  readonly onHeard?: () => void;
  /** Something of what came could not be kept on this computer. */
  readonly onUnkept?: () => void;
}

/** Streams events, keeps copy and ledger up to date, connects again by itself; returns the job as it stands at the end. */
export async function followFrom(from: FollowFrom, context: RunContext, onEvent: OnJobEvent): Promise<JobEntry> {
  const { sends = from.follow } = from;
  const copy = openCopy(from.job.id, context, from.onUnkept);
  const tell = inTurn(onEvent);
  using counted = countPulled(from.machine, from.job.id, context);
  await using _warnings = from.follow ? warnOfBudget(from.machine, tell, context) : null;
  await using _sent = sends ? sendMetrics(from.job, context) : null;
  let job = from.job;
  let open: ReachedMachine | null = from.first;
  const failed = new AbortController();
  const signal = AbortSignal.any([context.signal, failed.signal]);
  const connect = async (): Promise<RunnerClient> => {
    const fresh = open ?? (await reachOrLose(from.machine, { ...context, signal }));
    current = fresh;
    open = null;
    return fresh.runner;
  };
  let current: ReachedMachine = from.first;
  const keepRecord = recordKeeper(copy);
  const stamper = createStamper(from.stamped === true);
  const show = async (events: readonly LogEvent[]) => {
    for (const event of events) {
      const { stream = 'out', offset, bytes } = event;
      const length = (from.until?.[stream] ?? Number.POSITIVE_INFINITY) - offset;
      if (shows(from, stream) && length > 0) await tell(bytes.length <= length ? event : { ...event, bytes: bytes.subarray(0, length) });
    }
  };
  /** Whoever followed it before has kept what the machine had to give up since. */
  const showPiece = async (stream: LogStream, piece: CopiedPart) => {
    if (piece.type === 'log') return await show(stamper.log(stream, piece.offset, piece.bytes));
    await show(stamper.rest());
    if (isWanted(from, stream, piece.from)) await tell({ ...piece, stream });
  };
  const keepAndShow = async ({ stream, offset, bytes, sentBytes }: LogPart) => {
    const shown = show(stamper.log(stream, offset, bytes)); // first: somebody looks at it
    copy.keep((files) => files.writeLog(stream, offset, bytes));
    counted.add(sentBytes);
    await shown;
  };
  let taken: Promise<void> | null = null;
  /** As long as whoever looks at it keeps up. */
  const takeLog = (part: LogPart): boolean => {
    if (taken !== null) return false;
    const done = () => {
      taken = null;
    };
    taken = keepAndShow(part).then(done, (error: unknown) => failed.abort(error));
    return true;
  };
  /** What was taken is told. @throws what whoever looks at it threw */
  const caughtUp = async () => {
    await taken;
    failed.signal.throwIfAborted();
  };
  const parts = () =>
    followAttempt(job, {
      connect,
      release: () => current[Symbol.asyncDispose](),
      logOffset: from.logOffset,
      errOffset: from.errOffset ?? 0,
      ...(from.streams === 'out' || from.streams === 'err' ? { only: from.streams } : {}),
      ...(from.proves === true ? { had: proofsOf(from, context) } : {}),
      // From where the bytes begin, also where they are known here: these are told as well.
      times: { out: Math.min(copy.times.out, from.logOffset), err: Math.min(copy.times.err, from.errOffset ?? 0) },
      record: from.record,
      follow: from.follow,
      clock: context.clock,
      signal,
      takeLog,
      ...(from.onHeard === undefined ? {} : { onHeard: from.onHeard }),
      isOver: () => isMachineOver(from.machine, context),
      onDiffers: ({ stream, at, had, received }) => {
        copy.keep((files) => files.setAside(stream, at, received));
        context.reporter.report({ type: 'note', level: 'warn', text: differsText(job.id, at, had) });
      },
      onLink: (state, text) => context.reporter.report({ type: 'link', state, text }),
    });
  try {
    for await (const part of parts()) {
      await caughtUp(); // what comes behind it is told behind it
      if (part.type === 'log') await keepAndShow(part);
      else if (part.type === 'times') {
        copy.keep((files) => files.writeTimes(part.stream, part.marks));
        await show(stamper.times(part.stream, part.marks));
      } else if (part.type === 'gap') {
        copy.keep((files) => files.writeGap(part.stream, part));
        for (const piece of copiedWithin(context.home.jobs, job.id, part.stream, part)) await showPiece(part.stream, piece);
      } else {
        const { record } = part;
        keepRecord(record, part.more);
        job = noteRecord(job, record, context);
        if (job.state === 'ended') await show(stamper.rest()); // all its times are known by now
        await tell(toEvent(record));
      }
    }
    await caughtUp();
    await show(stamper.rest());
    return job;
  } catch (error) {
    await caughtUp();
    await show(stamper.rest());
    throw error;
  } finally {
    copy.close();
    await current[Symbol.asyncDispose]();
  }
}

function proofsOf({ job, logOffset, errOffset = 0 }: FollowFrom, { home }: RunContext): Record<LogStream, readonly LogProof[]> {
  const start = attemptStart(job);
  return {
    out: copiedProof(home.jobs, job.id, 'out', start.logBytes, logOffset),
    err: copiedProof(home.jobs, job.id, 'err', start.errBytes, errOffset),
  };
}

function isWanted(from: FollowFrom, stream: LogStream, offset: number): boolean {
  return shows(from, stream) && offset < (from.until?.[stream] ?? Number.POSITIVE_INFINITY);
}

/** Records that come together are written together, up to a state. */
function recordKeeper(copy: OpenCopy): (record: JobRecord, more: boolean) => void {
  const unkept: JobRecord[] = [];
  return (record, more) => {
    unkept.push(record);
    if (more && record.type !== 'state') return;
    const records = unkept.splice(0);
    copy.keep((files) => files.writeRecords(records));
  };
}

function differsText(id: string, at: number, had: number): string {
  const what = `The log of ${id} on the machine is not what was received here, somewhere in the last ${had - at} bytes: its disk has lost some (a power cut does that).`;
  return `${what} It comes again from byte ${at} on; what was received before stays beside the copy on this computer.`;
}

/** Events come from two sides, the job and its money: one is done with before the next. */
function inTurn(onEvent: OnJobEvent): OnJobEvent {
  let last: Promise<void> = Promise.resolve();
  let unfinished = 0;
  const done = () => {
    unfinished -= 1;
  };
  return (event) => {
    const run = async () => await onEvent(event);
    const turn = unfinished === 0 ? run() : last.then(run);
    unfinished += 1;
    last = turn.then(done, done);
    return turn;
  };
}

/** What a record says about the job, kept in the ledger. */
export function noteRecord(job: JobEntry, record: JobRecord, context: Pick<RunContext, 'ledger' | 'clock'>): JobEntry {
  if (record.type !== 'state') return job;
  const started = record.state === 'running' || record.state === 'setup' ? (job.startedAt ?? record.t) : job.startedAt;
  const updated: JobEntry = {
    ...job,
    state: record.state,
    end: record.state === 'ended' ? record.end : null,
    ...(record.state === 'queued' ? {} : { waitsFor: null }),
    startedAt: started,
    endedAt: record.state === 'ended' ? record.t : null,
    asOf: context.clock.now(),
  };
  return keepJob(updated, context);
}
