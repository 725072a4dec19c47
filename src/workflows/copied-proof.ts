/** What this computer has of the end of a log, for the machine to compare before it goes on behind that: a power cut may have taken some of it there. */
import { crc32 } from 'node:zlib';
import type { LogProof, LogStream } from '../protocol/log.ts';
import { copiedBytes, openCopy } from './job-copy.ts';

const provenBytes = 256 * 1024;

/** `start`: of the present attempt; `offset`: where to go on. Empty: nothing is here, or this is not the end of what is here. */
export function copiedProof(jobsFolder: string, jobId: string, stream: LogStream, start: number, offset: number): readonly LogProof[] {
  if (offset <= start || offset !== copiedBytes(jobsFolder, jobId, stream)) return [];
  using source = openCopy(jobsFolder, jobId, stream);
  const gap = source.gaps.findLast((each) => each.from < offset);
  const from = Math.max(start, offset - provenBytes, gap?.to ?? 0);
  if (from >= offset) return [];
  const bytes = source.read(from, offset - from);
  return bytes.length === offset - from ? [{ from, to: offset, crc: crc32(bytes) }] : [];
}
