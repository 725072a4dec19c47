/** `logs`: replays and follows a job, over dropped connections, and from the laptop's copy when the machine is gone. */
import { GpuRunError } from '../core/errors.ts';
import { attemptStart, type JobEntry, runnerJobId } from '../core/job.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { LogGap, LogStream } from '../protocol/log.ts';
import type { RunnerClient } from '../runner/client.ts';
import type { RunContext } from './context.ts';
import { machineOf } from './find.ts';
import { followWithEarlier } from './follow-earlier.ts';
import { type FollowFrom, followFrom } from './follow-from.ts';
import { type FollowInput, refuseJoined, shows } from './follow-input.ts';
import { showLost, watchShown } from './follow-lost.ts';
import { withJobHints } from './gone-hints.ts';
import { copiedWithin } from './job-copy.ts';
import type { OnJobEvent } from './job-event.ts';
import { sendMetrics } from './mlflow-send.ts';
import { queueText } from './queue-place.ts';
import { isGone, type ReachedMachine, reachOrLose } from './reach-machine.ts';
import { replayCopy } from './replay-copy.ts';

/** @throws GpuRunError `not-found`, `bad-input` (offset beyond the end), `lost` (machine gone and no copy here), `connection` */
export async function follow(input: FollowInput, context: RunContext, onEvent: OnJobEvent): Promise<JobEntry> {
  const job = context.ledger.getJob(input.jobId);
  if (job === null) throw new GpuRunError('not-found', `There is no job '${input.jobId}'.`);
  const machine = machineOf(job, context);
  if (machine.state === 'gone') return replay(job, input, context, onEvent);
  let first: ReachedMachine;
  try {
    first = await reachOrLose(machine, context);
  } catch (error) {
    if (!isGone(error)) throw error;
    return replay(context.ledger.getJob(job.id) ?? job, input, context, onEvent);
  }
  const shown = watchShown(onEvent);
  try {
    return await followThere({ job, machine, first }, input, context, shown.onEvent);
  } catch (error) {
    const why = withJobHints(error, job, context);
    // Without `follow` all that is there was asked for, and is not what was shown.
    if (!input.follow || !isLost(why, machine, context)) throw why;
    return await showLost(job, why, shown, input, context);
  }
}

/** By what was found out here, and not by a machine that says so of itself. */
function isLost(why: unknown, { id }: Pick<MachineEntry, 'id'>, { ledger }: RunContext): why is GpuRunError {
  const { state } = ledger.get(id) ?? {};
  return isGone(why) && (state === 'gone' || state === 'ending');
}

async function followThere(
  known: Pick<FollowFrom, 'job' | 'machine' | 'first'>,
  input: FollowInput,
  context: RunContext,
  onEvent: OnJobEvent,
): Promise<JobEntry> {
  const { job, machine, first } = known;
  if (attemptStart(job).records > 0) return await followWithEarlier(known, input, context, onEvent);
  let wanted: Wanted;
  try {
    wanted = await wantedBytes(first.runner, input);
    if (input.follow && job.state === 'queued') await tellPlace(job, first, context);
  } catch (error) {
    await first[Symbol.asyncDispose]();
    throw error;
  }
  if (isLeftHere(wanted, input, context)) return await followWithEarlier(known, input, context, onEvent);
  const { follow: goesOn, streams = 'both', stamped = false } = input;
  const { start, end } = wanted;
  const until = end === null || goesOn ? {} : { until: end };
  const from = { job, machine, logOffset: start.out, errOffset: start.err, record: 0, follow: goesOn, first, streams, stamped, ...until };
  return followFrom(from, context, onEvent);
}

/** Whoever waits without a word may think that nothing works. */
async function tellPlace(job: JobEntry, { runner, machine }: ReachedMachine, { reporter }: RunContext): Promise<void> {
  const { jobs } = await runner.call('jobs', {});
  const text = queueText(runnerJobId(job), jobs, machine.name);
  if (text !== null) reporter.report({ type: 'phase', phase: 'queue', status: 'begin', text });
}

/** What MLflow has not heard of yet is here as well. */
async function replay(job: JobEntry, input: FollowInput, context: RunContext, onEvent: OnJobEvent): Promise<JobEntry> {
  await using _sent = input.follow ? sendMetrics(job, context) : null;
  return await replayCopy(job, input, context, onEvent);
}

/** The place to begin may lie in what the machine has given up since, where no machine can look, and something of that is here. */
function isLeftHere({ lost, start }: Wanted, input: FollowInput, { home }: RunContext): boolean {
  return lost.some(([stream, gap]) => {
    if (!shows(input, stream) || start[stream] > gap.to) return false;
    for (const part of copiedWithin(home.jobs, input.jobId, stream, gap)) if (part.type === 'log') return true;
    return false;
  });
}

/** `end`: of what was there when we asked, where that was looked up; null: not looked up. `lost`: what was not there any more to be looked at. */
interface Wanted {
  readonly start: Readonly<Record<LogStream, number>>;
  readonly end: Readonly<Record<LogStream, number>> | null;
  readonly lost: readonly (readonly [LogStream, LogGap])[];
}

async function wantedBytes(runner: RunnerClient, input: FollowInput): Promise<Wanted> {
  const { jobId: id, after, tailLines: lines, sinceMs = null, streams = 'both' } = input;
  if (streams === 'err') {
    const { jobs } = await runner.call('jobs', {});
    if (jobs.find((job) => job.id === id)?.errBytes === undefined) refuseJoined(id, input);
  }
  if (after >= 0 && lines === null && sinceMs === null)
    return { start: streams === 'err' ? { out: 0, err: after } : { out: after, err: 0 }, end: null, lost: [] };
  const seek = async (stream: LogStream) => {
    const { offset, bytes, gap } = await runner.call('seek', { id, stream, sinceMs, lines });
    return { from: after < 0 ? Math.max(0, bytes + after) : offset, to: bytes, lost: gap === null || after < 0 ? [] : [[stream, gap] as const] };
  };
  const [out, err] = [await seek('out'), await seek('err')];
  return { start: { out: out.from, err: err.from }, end: { out: out.to, err: err.to }, lost: [...out.lost, ...err.lost] };
}
