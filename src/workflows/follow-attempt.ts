/** Follows the present attempt of a job, with its log and records in their places behind those of the attempts before it. */
import { attemptStart, type JobEntry, type JobRecord, runnerJobId } from '../core/job.ts';
import type { LogProof, LogStream } from '../protocol/log.ts';
import { type FollowOptions, type FollowPart, followJob, type LogPart } from '../runner/follow.ts';

/** All offsets and numbers, in and out, are those of the whole job. No generator: it would delay each line a little. */
export function followAttempt(job: JobEntry, options: Omit<FollowOptions, 'jobId'>): AsyncIterable<FollowPart> {
  const { logBytes: out, errBytes: err, records } = attemptStart(job);
  const { times, had, takeLog } = options;
  const parts = followJob({
    ...options,
    jobId: runnerJobId(job),
    logOffset: behind(options.logOffset, out),
    errOffset: behind(options.errOffset ?? 0, err),
    ...(times === undefined ? {} : { times: { out: behind(times.out, out), err: behind(times.err, err) } }),
    ...(had === undefined ? {} : { had: { out: moved(had.out, -out), err: moved(had.err, -err) } }),
    record: behind(options.record, records),
    ...(takeLog === undefined ? {} : { takeLog: (part: LogPart) => takeLog({ ...part, offset: part.offset + { out, err }[part.stream] }) }),
    onDiffers: ({ stream, at, had, received }) => {
      const start = { out, err }[stream];
      options.onDiffers?.({ stream, at: at + start, had: had + start, received: moved(received, start) });
    },
  });
  const place = (next: IteratorResult<FollowPart, void>) => (next.done === true ? next : { value: placed(next.value, { out, err }, records) });
  return { [Symbol.asyncIterator]: () => ({ next: () => parts.next().then(place), return: () => parts.return(undefined) }) };
}

function behind(place: number, start: number): number {
  return Math.max(0, place - start);
}

function moved(proofs: readonly LogProof[], by: number): readonly LogProof[] {
  return proofs.map((proof) => ({ ...proof, from: proof.from + by, to: proof.to + by }));
}

function placed(part: FollowPart, start: Readonly<Record<LogStream, number>>, records: number): FollowPart {
  switch (part.type) {
    case 'log':
      return { ...part, offset: part.offset + start[part.stream] };
    case 'times':
      return { ...part, marks: part.marks.map(([offset, ms]) => [offset + start[part.stream], ms]) };
    case 'gap':
      return { ...part, from: part.from + start[part.stream], to: part.to + start[part.stream] };
    case 'record':
      return { ...part, record: placedRecord(part.record, start, records) };
  }
}

function placedRecord(record: JobRecord, { out, err }: Readonly<Record<LogStream, number>>, records: number): JobRecord {
  const moved = { ...record, n: record.n + records };
  if (moved.type !== 'state') return moved;
  return { ...moved, logOffset: moved.logOffset + out, ...(moved.errOffset === undefined ? {} : { errOffset: moved.errOffset + err }) };
}
