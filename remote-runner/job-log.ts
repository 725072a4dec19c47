/** What the runner does with the log of a job that it watches: notes when what was written, and keeps it on the disk. The job's own processes write it. */
import { closeSync, existsSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { freeBallast, setBallast } from './ballast.ts';
import { syncFolder } from './durable.ts';
import { fileSize, type JobOrder } from './job-files.ts';
import { cutText, watchCut } from './log-cut.ts';
import { defaultLimitBytes, openLogLimit } from './log-limit.ts';
import { openLogTimes } from './log-times.ts';
import { type JobFolder, type LogFiles, logFiles, type MachineFolder } from './machine-folder.ts';

export interface JobLog {
  /** One look: when the bytes came that are there now, and whether they are too many. True when there are more than before. */
  look(): boolean;
  /** Look often, also while nothing is printed. */
  readonly isTight: boolean;
  /** What whoever follows should know, as it stands. */
  warnings(): readonly string[];
  /** What was written since the last time survives a power cut from now on. */
  sync(): void;
  /** A line of the runner's own, where the job's errors go. */
  say(text: string): void;
  /** The job writes no more: the last look, and all on the disk. */
  finish(): void;
  close(): void;
}

/** Where a job's stdout and stderr go. */
export function logsOf(job: JobFolder, { splitLog }: Pick<JobOrder, 'splitLog'>): { readonly log: string; readonly err: string } {
  return { log: job.log, err: splitLog === true ? job.err : job.log };
}

export function openJobLog(machine: MachineFolder, job: JobFolder, order: Pick<JobOrder, 'splitLog' | 'logLimit'>): JobLog {
  const streams = order.splitLog === true ? [logFiles(job, 'out'), logFiles(job, 'err')] : [logFiles(job, 'out')];
  const watched = streams.map((files) => ({ times: openLogTimes(files), sync: createSync(files), cut: watchCut(files) }));
  const limit = openLogLimit(streams, order.logLimit ?? defaultLimitBytes, {
    reserve: { free: () => freeBallast(machine), set: () => setBallast(machine) },
  });
  let wasCut = false;
  let size = 0;
  const look = () => {
    for (const { times, cut } of watched) {
      wasCut = cut.look() || wasCut;
      times.look();
    }
    limit.look();
    const before = size;
    size = streams.reduce((sum, { bytes }) => sum + fileSize(bytes), 0);
    return size > before;
  };
  const sync = () => {
    for (const each of watched) each.sync();
  };
  return {
    look,
    get isTight() {
      return limit.isTight;
    },
    warnings: () => (wasCut ? [...limit.warnings(), cutText] : limit.warnings()),
    sync,
    say(text) {
      const fd = openSync(logsOf(job, order).err, 'a', 0o600);
      writeSync(fd, text);
      closeSync(fd);
    },
    finish() {
      look();
      for (const { times } of watched) times.flush();
      sync();
    },
    close() {
      for (const { times } of watched) times.close();
    },
  };
}

/** Only when it has grown: to ask the disk for nothing costs, too. */
function createSync({ bytes }: LogFiles): () => void {
  let synced = 0;
  return () => {
    const size = fileSize(bytes);
    if (size === synced || !existsSync(bytes)) return;
    const fd = openSync(bytes, 'r');
    try {
      fdatasyncSync(fd);
    } finally {
      closeSync(fd);
    }
    if (synced === 0) syncFolder(dirname(bytes)); // its name, too
    synced = size;
  };
}
