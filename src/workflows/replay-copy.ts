/** `logs` without the machine: what this computer has kept of a job. */
import { GpuRunError } from '../core/errors.ts';
import type { JobEntry } from '../core/job.ts';
import { firstSince, type LogStream, type TimeMark } from '../protocol/log.ts';
import { lineStart, tailStart } from '../protocol/log-place.ts';
import type { RunContext } from './context.ts';
import { type FollowInput, refuseJoined, shows } from './follow-input.ts';
import { copiedBytes, copiedLog, copiedMarks, copiedRecords, hasCopy, openCopy } from './job-copy.ts';
import { type OnJobEvent, toEvent } from './job-event.ts';
import { createStamper } from './stamp-log.ts';

/** @throws GpuRunError `lost`: there is no copy; `bad-input`: there is no such place in it */
export async function replayCopy(job: JobEntry, input: FollowInput, context: RunContext, onEvent: OnJobEvent): Promise<JobEntry> {
  const folder = context.home.jobs;
  if (!hasCopy(folder, job.id)) {
    throw new GpuRunError('lost', `The machine of ${job.id} is gone, and nobody followed the job from this computer: there is no log.`);
  }
  await showCopy(job.id, input, context, onEvent);
  await onEvent({ type: 'state', at: job.endedAt ?? job.asOf, state: 'ended', end: job.end });
  return job;
}

/** All that is here, but for the ends of attempts. */
export async function showCopy(id: string, input: FollowInput, { home }: Pick<RunContext, 'home'>, onEvent: OnJobEvent): Promise<void> {
  const folder = home.jobs;
  let isSplit = copiedBytes(folder, id, 'err') > 0;
  for (const record of copiedRecords(folder, id)) {
    if (record.type === 'state' && record.errOffset !== undefined) isSplit = true;
    if (record.type !== 'state' || record.state !== 'ended') await onEvent(toEvent(record));
  }
  if (!isSplit) refuseJoined(id, input);
  for (const stream of ['out', 'err'] as const) if (shows(input, stream)) await replayStream(id, stream, input, folder, onEvent);
}

async function replayStream(id: string, stream: LogStream, input: FollowInput, folder: string, onEvent: OnJobEvent): Promise<void> {
  const stamper = createStamper(input.stamped === true);
  const marks = copiedMarks(folder, id, stream);
  let known: TimeMark | null = null;
  for (const part of copiedLog(folder, id, stream, startIn(id, stream, input, folder))) {
    if (part.type === 'gap') {
      await onEvent({ ...part, stream });
      continue;
    }
    for (const end = part.offset + part.bytes.length; known === null || known[0] < end; ) {
      const next = marks.next();
      if (next.done === true) break;
      known = next.value;
      if (known[0] > part.offset) stamper.times(stream, [known]);
    }
    for (const event of stamper.log(stream, part.offset, part.bytes)) await onEvent(event);
  }
  for (const event of stamper.rest()) await onEvent(event);
}

function startIn(id: string, stream: LogStream, { after, tailLines, sinceMs = null, streams = 'both' }: FollowInput, folder: string): number {
  using source = openCopy(folder, id, stream);
  if (after < 0) return Math.max(0, source.size + after);
  if (after > 0) return stream === 'out' || streams === 'err' ? after : 0;
  const since = sinceMs === null ? 0 : lineStart(source, Math.min(source.size, firstSince(copiedMarks(folder, id, stream), sinceMs)));
  return Math.max(since, tailLines === null ? 0 : tailStart(source, tailLines));
}
