/** The `seek` call: where in a log to begin, looked up where the log is. */
import { closeSync, readSync } from 'node:fs';
import type { Calls } from '../src/protocol/calls.ts';
import { firstSince } from '../src/protocol/log.ts';
import { type LogSource, lineStart, tailStart } from '../src/protocol/log-place.ts';
import { openIfThere } from './durable.ts';
import { fileSize } from './job-files.ts';
import { readGap } from './log-gap.ts';
import { allMarks } from './log-times.ts';
import { existingJob, type LogFiles, logFiles, type MachineFolder } from './machine-folder.ts';
import { RunnerError } from './runner-error.ts';

/** @throws RunnerError not-found, bad-input */
export async function seek(params: Calls['seek']['params'], machine: MachineFolder): Promise<Calls['seek']['result']> {
  const { id, stream, sinceMs, lines } = params;
  const job = existingJob(machine, id);
  if (stream !== 'out' && stream !== 'err') throw new RunnerError('bad-input', `${JSON.stringify(stream)} is no stream of a log.`);
  if (lines !== null && !(Number.isSafeInteger(lines) && lines >= 0)) throw new RunnerError('bad-input', `${lines} is no number of lines.`);
  if (sinceMs !== null && !Number.isFinite(sinceMs)) throw new RunnerError('bad-input', `${sinceMs} is no time.`);
  const files = logFiles(job, stream);
  const source = openSource(files);
  if (source === null) return { offset: 0, bytes: 0, gap: null };
  try {
    const since = sinceMs === null ? 0 : sinceMs > Date.now() ? source.size : firstSince(allMarks(files.times), sinceMs);
    const begun = sinceMs === null ? 0 : lineStart(source, Math.min(since, source.size));
    return { offset: Math.max(begun, lines === null ? 0 : tailStart(source, lines)), bytes: source.size, gap: source.gaps[0] ?? null };
  } finally {
    source.close();
  }
}

/** null: nothing was printed. */
function openSource(files: LogFiles): (LogSource & { close(): void }) | null {
  const fd = openIfThere(files.bytes);
  if (fd === null) return null;
  const gap = readGap(files);
  let buffer = Buffer.alloc(0);
  return {
    size: fileSize(files.bytes),
    gaps: gap === null ? [] : [gap],
    read(offset, length) {
      if (buffer.length < length) buffer = Buffer.alloc(length);
      return buffer.subarray(0, readSync(fd, buffer, 0, length, offset));
    },
    close: () => closeSync(fd),
  };
}
