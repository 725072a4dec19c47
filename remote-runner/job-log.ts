/** What the runner does with the log of a job that it watches: sees to it that what the job's processes write gets there, notes when what came, and keeps it on the disk. */
import { closeSync, existsSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { freeBallast, setBallast } from './ballast.ts';
import { syncFolder } from './durable.ts';
import { fileSize, type JobOrder } from './job-files.ts';
import { cutText, watchCut } from './log-cut.ts';
import { defaultLimitBytes, openLogLimit } from './log-limit.ts';
import { openLogPipe } from './log-pipe.ts';
import { openLogTimes } from './log-times.ts';
import { type JobFolder, type LogFiles, logFiles, type MachineFolder, pipeFiles } from './machine-folder.ts';

export interface JobLog {
  /** One look: when the bytes came that are there now, and whether they are too many. True when there are more than before. */
  look(): boolean;
  /** Look often, also while nothing is printed. */
  readonly isTight: boolean;
  /** What whoever follows should know, as it stands. */
  warnings(): readonly string[];
  /** We hear of it when something goes wrong on the way from the job to its log. False: only looks tell. */
  readonly isHeard: boolean;
  /** What was written since the last time survives a power cut from now on. */
  sync(): void;
  /** Where the stdout and the stderr of a program go that is started now. */
  output(): JobOutput;
  /** What was written by processes that are gone now is in the log. */
  settled(): Promise<void>;
  /** A line of the runner's own, where the job's errors go, behind what they were. */
  say(text: string): Promise<void>;
  /** The job writes no more: the last look, and all on the disk. */
  finish(): Promise<void>;
  close(): void;
}

export interface JobOutput {
  readonly out: number;
  /** As `out` where both go the same way: in the order in which both were written. */
  readonly err: number;
  /** To be held, and not used, as long as the program lives. */
  readonly hold: readonly number[];
  /** Once the program was started. */
  close(): void;
}

const lostText =
  'Part of what the job printed may be missing from its log: the disk of the machine was full or did not answer in time, or the process was killed that writes it there.';

/** `onNews`: called when it should be looked at. */
export function openJobLog(machine: MachineFolder, job: JobFolder, order: Pick<JobOrder, 'splitLog' | 'logLimit'>, onNews: () => void): JobLog {
  const streams = order.splitLog === true ? [logFiles(job, 'out'), logFiles(job, 'err')] : [logFiles(job, 'out')];
  const pipes = streams.map((files) => openLogPipe(machine, files, pipeFiles(job, files.stream), onNews));
  const watched = streams.map((files) => ({ times: openLogTimes(files), sync: createSync(files), cut: watchCut(files) }));
  const limit = openLogLimit(streams, order.logLimit ?? defaultLimitBytes, {
    reserve: { free: () => freeBallast(machine), set: () => setBallast(machine) },
  });
  let wasCut = false;
  let size = 0;
  const look = () => {
    for (const pipe of pipes) pipe.look();
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
  const settled = async () => {
    for (const pipe of pipes) await pipe.settled();
  };
  return {
    look,
    get isTight() {
      return limit.isTight;
    },
    get isHeard() {
      return pipes.every(({ isHeard }) => isHeard);
    },
    warnings: () => [...limit.warnings(), ...(wasCut ? [cutText] : []), ...(pipes.some(({ hasLost }) => hasLost) ? [lostText] : [])],
    sync,
    output() {
      const outlets = pipes.map((pipe) => pipe.open());
      const writes = outlets.map(({ write }) => write);
      const [out = -1, err = out] = writes;
      return {
        out,
        err,
        hold: outlets.flatMap(({ hold }) => (hold === null ? [] : [hold])),
        close: () => {
          for (const write of writes) closeSync(write);
        },
      };
    },
    settled,
    async say(text) {
      await settled();
      const fd = openSync(order.splitLog === true ? job.err : job.log, 'a', 0o600);
      writeSync(fd, text);
      closeSync(fd);
    },
    async finish() {
      for (const pipe of pipes) await pipe.finish();
      look();
      for (const { times } of watched) times.flush();
      sync();
    },
    close() {
      for (const pipe of pipes) pipe.close();
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
