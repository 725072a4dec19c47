/** The copy of a job on this computer while the job is followed: a convenience, which must never keep anybody from following. */
import { toGpuRunError } from '../core/errors.ts';
import type { LogStream } from '../protocol/log.ts';
import type { RunContext } from './context.ts';
import { JobCopy } from './write-copy.ts';

export interface OpenCopy {
  /** When it can't be written (a full disk) that is said once, and nothing more is kept. */
  keep(write: (files: JobCopy) => void): void;
  /** Up to where times are known. */
  readonly times: Readonly<Record<LogStream, number>>;
  close(): void;
}

/** `onUnkept`: told when something of the log or of the records could not be written. */
export function openCopy(jobId: string, context: RunContext, onUnkept = () => {}): OpenCopy {
  const warn = (text: string) => context.reporter.report({ type: 'note', level: 'warn', text });
  let files: JobCopy | null = null;
  try {
    files = new JobCopy(context.home.jobs, jobId);
  } catch (error) {
    onUnkept();
    warn(`The log of ${jobId} can't be kept on this computer: ${toGpuRunError(error).message}`);
  }
  const opened = files;
  const keep = (write: (files: JobCopy) => void) => {
    if (files === null) return;
    try {
      write(files);
    } catch (error) {
      files = null;
      onUnkept();
      warn(`The log of ${jobId} is not kept on this computer any more: ${toGpuRunError(error).message}`);
    }
  };
  const close = () => {
    try {
      opened?.close();
    } catch (error) {
      if (files !== null) warn(`The log of ${jobId} is not whole on this computer: ${toGpuRunError(error).message}`);
    }
  };
  return { keep, times: { out: opened?.timesTo('out') ?? 0, err: opened?.timesTo('err') ?? 0 }, close };
}
