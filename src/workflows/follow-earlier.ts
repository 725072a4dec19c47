/** `logs` of a job of which a part is on this computer, and on no machine any more: what earlier attempts wrote, or what its machine has given up. */
import type { JobEntry } from '../core/job.ts';
import type { RunContext } from './context.ts';
import { copiedPlace } from './copied-place.ts';
import { type FollowFrom, followFrom } from './follow-from.ts';
import type { FollowInput } from './follow-input.ts';
import type { OnJobEvent } from './job-event.ts';
import { reachOrLose } from './reach-machine.ts';
import { showCopy } from './replay-copy.ts';

/** Brings the copy up to date, shows what is wanted of it, and goes on from there. */
export async function followWithEarlier(
  known: Pick<FollowFrom, 'job' | 'machine' | 'first'>,
  input: FollowInput,
  context: RunContext,
  onEvent: OnJobEvent,
): Promise<JobEntry> {
  const { machine } = known;
  const job = await followFrom({ ...known, ...copiedPlace(known.job, context), follow: false, proves: true }, context, () => {});
  const place = copiedPlace(job, context);
  const shown = { out: place.logOffset, err: place.errOffset };
  const show: OnJobEvent = (event) => {
    // Whoever follows it too may have added to it meanwhile.
    if (event.type === 'log') shown[event.stream ?? 'out'] = Math.max(shown[event.stream ?? 'out'], event.offset + event.bytes.length);
    return onEvent(event);
  };
  await showCopy(job.id, input, context, show, { lastRecord: place.record });
  if (job.state === 'ended') await onEvent({ type: 'state', at: job.endedAt ?? job.asOf, state: 'ended', end: job.end });
  if (job.state === 'ended' || !input.follow) return job;
  const { streams = 'both', stamped = false } = input;
  const first = await reachOrLose(machine, context);
  return await followFrom({ ...place, job, machine, first, follow: true, streams, stamped, logOffset: shown.out, errOffset: shown.err }, context, onEvent);
}
