/** `logs --follow` of an attempt whose machine is lost under it: that is an end like any other, and looks the same to whoever comes a moment later. */
import type { GpuRunError } from '../core/errors.ts';
import type { JobEnd, JobEntry } from '../core/job.ts';
import type { LogStream } from '../protocol/log.ts';
import type { RunContext } from './context.ts';
import { isCutShort } from './end-reason.ts';
import type { FollowInput } from './follow-input.ts';
import type { OnJobEvent } from './job-event.ts';
import { showCopy } from './replay-copy.ts';

export interface WatchedShow {
  readonly onEvent: OnJobEvent;
  /** Where the next byte is that was not shown yet; absent: none was. */
  readonly ends: Readonly<Partial<Record<LogStream, number>>>;
  /** How many records were shown, but for ends. */
  readonly records: () => number;
  readonly hasEnded: () => boolean;
}

export function watchShown(onEvent: OnJobEvent): WatchedShow {
  const ends: Partial<Record<LogStream, number>> = {};
  let records = 0;
  let hasEnded = false;
  const note = (stream: LogStream, end: number) => {
    ends[stream] = Math.max(ends[stream] ?? 0, end);
  };
  return {
    ends,
    records: () => records,
    hasEnded: () => hasEnded,
    onEvent: (event) => {
      if (event.type === 'log') note(event.stream ?? 'out', event.offset + event.bytes.length);
      if (event.type === 'gap') note(event.stream ?? 'out', event.to);
      if (event.type === 'state' && event.state === 'ended') hasEnded = true;
      else if (event.type !== 'log' && event.type !== 'gap') records += 1;
      return onEvent(event);
    },
  };
}

/** What somebody else has heard of its log is shown as well. `why`: as `goneError`, with what to do. Returns the attempt as it ended. */
export async function showLost(job: JobEntry, why: GpuRunError, shown: WatchedShow, input: FollowInput, context: RunContext): Promise<JobEntry> {
  const known = context.ledger.getJob(job.id) ?? job;
  const next = known.earlier?.[job.attempts - 1]; // it has gone on elsewhere since
  const until = next === undefined ? {} : { out: next.logBytes, err: next.errBytes };
  const lastRecord = next?.records ?? Number.POSITIVE_INFINITY;
  await showCopy(job.id, input, context, shown.onEvent, { skippedRecords: shown.records(), lastRecord, from: shown.ends, until });
  const ended = endedAs(job, known, why, context);
  const texts = isCutShort(ended) ? [why.message, ...why.hints] : []; // else its train has seen it end, and took the machine down
  for (const [index, text] of texts.entries()) context.reporter.report({ type: 'note', level: index === 0 ? 'warn' : 'info', text });
  if (!shown.hasEnded()) await shown.onEvent({ type: 'state', at: ended.endedAt ?? ended.asOf, state: 'ended', end: ended.end });
  return ended;
}

/** Whoever ends its machine may not have closed the job yet, or its next attempt has begun. */
function endedAs(job: JobEntry, known: JobEntry, { code, message }: GpuRunError, { clock }: RunContext): JobEntry {
  if (known.attempts === job.attempts && known.state === 'ended') return known;
  const past = known.earlier?.[job.attempts - 1];
  const reason = code === 'preempted' ? 'preempted' : 'lost';
  const end: JobEnd = past?.end ?? { code: null, signal: null, reason, detail: message.replace(/\.$/, '') };
  return { ...job, state: 'ended', end, endedAt: past?.endedAt ?? clock.now() };
}
