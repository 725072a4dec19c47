/**
 * What one stream of a job writes to: a pipe with a name, from which a small process copies into the log's file. A program that
 * opens /dev/stdout or /dev/stderr anew opens the pipe again, and cuts off nothing. The file itself where no pipe can be made.
 *
 * Who reads or holds the pipe: the copier, the shim (so that a job whose copier was killed waits, and is not ended by SIGPIPE), and
 * whoever watches the job, which starts the copier again. Whoever watches also holds an end to write to, so that the copier does not
 * end between setup and command.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, existsSync, openSync, readSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDiskFull } from './ballast.ts';
import { makePrivateFolder } from './durable.ts';
import { type CopierStart, copierState, forgetCopier, hasLost, isWaitingForMore, startCopier } from './log-copier.ts';
import type { LogFiles, MachineFolder, PipeFiles } from './machine-folder.ts';
import { writeAll } from './write-all.ts';

export interface LogPipe {
  /** For a program that is started now. The caller closes `write` once it has. */
  open(): Outlet;
  /** One look: that there is somebody who copies. */
  look(): void;
  /** We started who copies, and hear of its end. */
  readonly isHeard: boolean;
  /** Something that the job printed may be missing, for another reason than the log's limit. */
  readonly hasLost: boolean;
  /** All that processes have written which are gone now is in the file, or nobody can say when it will be. */
  settled(): Promise<void>;
  /** Nothing of the job is left: as `settled`, and the pipe's name is gone. */
  finish(): Promise<void>;
  close(): void;
}

export interface Outlet {
  readonly write: number;
  /** To be held by whoever lives as long as the program; null: nothing. */
  readonly hold: number | null;
}

interface Ends {
  readonly read: number;
  readonly write: number;
}

const lookEveryMs = 1_000;
/** For what hangs in a disk, or prints without end though nothing of the job is left; shorter while the job still has to go on. */
const settlesWithinMs = 3_000;
const drainsWithinMs = 10_000;
/** At the pipe's end the copier ends by itself, and nothing else has to be looked at. */
const endsWithinMs = 50;
const pauseMs = 3;
const pieceBytes = 64 * 1024;
/** More than a pipe holds (at most 1 MiB, see `shim.ts`). */
const mostPieces = 64;

/** `onEnd`: called when the copier has ended, if we started it. */
export function openLogPipe(machine: MachineFolder, { bytes }: LogFiles, { fifo, note }: PipeFiles, onEnd: () => void): LogPipe {
  let ends: Ends | null = isFifo(fifo) ? openEnds(fifo) : null;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let lost = false;
  let goesOn: () => boolean = () => false;

  const stateNow = () => (goesOn() ? 'alive' : copierState(note));
  const watchCopier = () => {
    lookedAt = performance.now();
    lost ||= hasLost(note);
    const state = stateNow();
    if (state === 'alive') return;
    lost ||= state === 'killed';
    if (ends !== null) goesOn = copyFrom({ machine, note, bytes, onEnd }, ends.read, fifo);
  };
  const settles = async (isLast: boolean) => {
    if (ends === null) return;
    const begun = performance.now();
    const withinMs = isLast ? drainsWithinMs : settlesWithinMs;
    for (let waiting = 0; waiting < 2; await sleep(pauseMs)) {
      if (performance.now() - begun >= withinMs) {
        lost ||= isLast; // otherwise it comes later
        return;
      }
      if (stateNow() !== 'alive') {
        lost = !copyRest(ends.read, bytes) || lost;
        return;
      }
      lost ||= hasLost(note);
      if (isLast && performance.now() - begun < endsWithinMs) continue;
      if (isWaitingForMore(note, ends.read)) waiting += 1;
    }
  };
  const close = () => {
    if (ends === null) return;
    closeSync(ends.read);
    if (ends.write >= 0) closeSync(ends.write);
    ends = null;
  };

  return {
    open() {
      if (ends === null && makeFifo(fifo)) ends = openEnds(fifo);
      if (ends === null) return { write: openSync(bytes, 'a', 0o600), hold: null };
      watchCopier();
      return { write: openSync(anew(ends.read, fifo), constants.O_WRONLY), hold: ends.read };
    },
    look() {
      if (ends !== null && performance.now() - lookedAt >= lookEveryMs) watchCopier();
    },
    get isHeard() {
      return ends === null || goesOn();
    },
    get hasLost() {
      return lost;
    },
    settled: () => settles(false),
    async finish() {
      if (ends === null) return;
      lost ||= hasLost(note) || stateNow() === 'killed';
      closeSync(ends.write);
      ends = { ...ends, write: -1 };
      await settles(true);
      lost ||= hasLost(note);
      close();
      forgetCopier(note);
      rmSync(fifo, { force: true }); // whoever reads all files of a folder would wait for it
    },
    close,
  };
}

function isFifo(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isFIFO() === true;
}

/** False where there is no such program, or the file system refuses. */
function makeFifo(fifo: string): boolean {
  try {
    makePrivateFolder(dirname(fifo));
    execFileSync('mkfifo', ['-m', '600', fifo], { stdio: 'ignore' });
  } catch {
    // It may be there.
  }
  return isFifo(fifo);
}

/** Without waiting for anybody: the end to read from first, as one who writes waits for a reader. */
function openEnds(fifo: string): Ends {
  const read = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return { read, write: openSync(anew(read, fifo), constants.O_WRONLY) };
  } catch (error) {
    closeSync(read);
    throw error;
  }
}

/**
 * What opens the pipe once more that is held as `held`. By its name only where there is no other way (macOS): a program of the job may have
 * put another pipe there, and to open that would wait for its other side for good.
 */
function anew(held: number, fifo: string): string {
  const same = `/proc/self/fd/${held}`;
  return existsSync(same) ? same : fifo;
}

/** Where it can't be started it is tried again at the next look; meanwhile the job waits once the pipe is full. */
function copyFrom(start: Omit<CopierStart, 'pipe'>, read: number, fifo: string): () => boolean {
  try {
    const pipe = openSync(anew(read, fifo), constants.O_RDONLY); // one for itself, that waits for more; we hold an end to write to
    try {
      return startCopier({ ...start, pipe });
    } finally {
      closeSync(pipe);
    }
  } catch {
    return () => false; // no room, or no more processes
  }
}

/** What nobody has copied: where nobody copies. False: there is no room for it. */
function copyRest(read: number, bytes: string): boolean {
  const piece = Buffer.alloc(pieceBytes);
  const log = openSync(bytes, 'a', 0o600);
  try {
    for (let pieces = 0; pieces < mostPieces; pieces++) {
      const length = readSync(read, piece, 0, pieceBytes, null);
      if (length === 0) return true;
      writeAll(log, piece.subarray(0, length));
    }
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EAGAIN') return true;
    if (!isDiskFull(error)) throw error;
    return false;
  } finally {
    closeSync(log);
  }
}
