/** `logs` without the machine: what this computer has kept of a job. */
import { GpuRunError } from '../core/errors.ts';
import type { JobEntry } from '../core/job.ts';
import { firstSince, type LogStream, type TimeMark } from '../protocol/log.ts';
import { lineStart, tailStart } from '../protocol/log-place.ts';
import type { RunContext } from './context.ts';
import { type FollowInput, refuseJoined, shows } from './follow-input.ts';
import { type CopiedPart, copiedBytes, copiedLog, copiedMarks, copiedRecords, hasCopy, openCopy } from './job-copy.ts';
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

/** Which part of a copy: by its records, and by the bytes of each stream where that is not told by what is wanted, or is not all. */
export interface CopyPart {
  /** How many of the first ones are not shown, not counting ends. */
  readonly skippedRecords?: number;
  readonly lastRecord?: number;
  readonly from?: Readonly<Partial<Record<LogStream, number>>>;
  readonly until?: Readonly<Partial<Record<LogStream, number>>>;
}

/** All that is here, but for the ends of attempts, or that part of it. What was written before a state began comes before it: each attempt's log behind that of the one before. */
export async function showCopy(
  id: string,
  input: FollowInput,
  { home }: Pick<RunContext, 'home'>,
  onEvent: OnJobEvent,
  { skippedRecords = 0, lastRecord = Number.POSITIVE_INFINITY, from = {}, until = {} }: CopyPart = {},
): Promise<void> {
  const folder = home.jobs;
  if (input.streams === 'err' && !isSplit(id, folder)) refuseJoined(id, input);
  using out = openReplay(id, 'out', input, folder, from.out);
  using err = openReplay(id, 'err', input, folder, from.err);
  let toSkip = skippedRecords;
  for (const record of copiedRecords(folder, id)) {
    if (record.n > lastRecord) break;
    if (record.type === 'state' && record.state === 'ended') continue;
    toSkip -= 1;
    if (toSkip >= 0) continue;
    if (record.type !== 'state') await onEvent(toEvent(record));
    else {
      await out.showUpTo(record.logOffset, onEvent);
      await err.showUpTo(record.errOffset ?? 0, onEvent);
      await onEvent(toEvent(record));
    }
  }
  await out.showUpTo(until.out ?? Number.POSITIVE_INFINITY, onEvent);
  await err.showUpTo(until.err ?? Number.POSITIVE_INFINITY, onEvent);
}

function isSplit(id: string, folder: string): boolean {
  if (copiedBytes(folder, id, 'err') > 0) return true;
  for (const record of copiedRecords(folder, id)) if (record.type === 'state' && record.errOffset !== undefined) return true;
  return false;
}

interface Replay extends Disposable {
  /** What comes before this offset and was not shown yet; a gap that begins before it is shown whole. */
  showUpTo(end: number, onEvent: OnJobEvent): Promise<void>;
}

/** Of a stream that is not wanted nothing is shown. `from`: absent: from where the input wants it. */
function openReplay(id: string, stream: LogStream, input: FollowInput, folder: string, from?: number): Replay {
  const stamper = createStamper(input.stamped === true);
  const marks = copiedMarks(folder, id, stream);
  const parts = shows(input, stream) ? copiedLog(folder, id, stream, from ?? startIn(id, stream, input, folder)) : null;
  let known: TimeMark | null = null;
  let left: CopiedPart | null = null;
  const learnTimes = (from: number, to: number) => {
    while (known === null || known[0] < to) {
      const next = marks.next();
      if (next.done === true) return;
      known = next.value;
      if (known[0] > from) stamper.times(stream, [known]);
    }
  };
  const nextBefore = (end: number): CopiedPart | null => {
    const part: CopiedPart | null = left ?? parts?.next().value ?? null;
    left = part;
    if (part === null || (part.type === 'gap' ? part.from : part.offset) >= end) return null;
    left = null;
    if (part.type === 'gap' || part.offset + part.bytes.length <= end) return part;
    left = { ...part, offset: end, bytes: part.bytes.subarray(end - part.offset) };
    return { ...part, bytes: part.bytes.subarray(0, end - part.offset) };
  };
  return {
    async showUpTo(end, onEvent) {
      for (let part = nextBefore(end); part !== null; part = nextBefore(end)) {
        if (part.type === 'gap') {
          await onEvent({ ...part, stream });
          continue;
        }
        learnTimes(part.offset, part.offset + part.bytes.length);
        for (const event of stamper.log(stream, part.offset, part.bytes)) await onEvent(event);
      }
      for (const event of stamper.rest()) await onEvent(event);
    },
    [Symbol.dispose]() {
      parts?.return(undefined);
      marks.return(undefined);
    },
  };
}

function startIn(id: string, stream: LogStream, { after, tailLines, sinceMs = null, streams = 'both' }: FollowInput, folder: string): number {
  using source = openCopy(folder, id, stream);
  if (after < 0) return Math.max(0, source.size + after);
  if (after > 0) return stream === 'out' || streams === 'err' ? after : 0;
  const since = sinceMs === null ? 0 : lineStart(source, Math.min(source.size, firstSince(copiedMarks(folder, id, stream), sinceMs)));
  return Math.max(since, tailLines === null ? 0 : tailStart(source, tailLines));
}
