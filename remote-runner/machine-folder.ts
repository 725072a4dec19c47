/** Where everything of one machine lies, below one folder that only its owner can read. Nothing of a machine is kept elsewhere. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { LogStream } from '../src/protocol/log.ts';
import { makePrivateFolder, readText, writeDurably } from './durable.ts';
import { RunnerError } from './runner-error.ts';
import { copierText, shimText } from './shim.ts';

export interface MachineFolder {
  readonly root: string;
  /** Synced code and data, and the working folder of jobs. */
  readonly workdir: string;
  /** One folder a job. */
  readonly jobs: string;
  /** One file a job that has not ended, named by its turn and holding its id. */
  readonly queue: string;
  /** Who serves: see `serve-lock.ts`. */
  readonly lock: string;
  readonly shim: string;
  readonly copier: string;
  readonly serveLog: string;
  /** Hash of the setup that the machine is in. */
  readonly setupStamp: string;
  /** Holds `{graceMs}` once the machine is going away; from then on nothing is started. */
  readonly shutdown: string;
  /** Names the boot in which the provider took the machine back: see `taken-back.ts`. */
  readonly takenBack: string;
  /** What the watchdog was ordered: see `watch-order.ts`. */
  readonly armed: string;
  /** Who is the watchdog: see `serve-lock.ts`. */
  readonly watchLock: string;
  readonly watchLog: string;
  /** Why and since when the watchdog ends all this; from then on nothing is started. */
  readonly over: string;
  /** What the watchdog has to tell whoever follows a job: see `watch-order.ts`. */
  readonly warning: string;
  /** Which job is next, and what it waits for: `FirstInLine`. */
  readonly firstInLine: string;
}

export function machineFolder(root: string): MachineFolder {
  return {
    root,
    workdir: join(root, 'workdir'),
    jobs: join(root, 'jobs'),
    queue: join(root, 'queue'),
    lock: join(root, 'lock'),
    shim: join(root, 'shim.sh'),
    copier: join(root, 'copier.sh'),
    serveLog: join(root, 'serve.log'),
    setupStamp: join(root, 'setup.stamp'),
    shutdown: join(root, 'shutdown.json'),
    takenBack: join(root, 'taken-back.json'),
    armed: join(root, 'armed.json'),
    watchLock: join(root, 'watch-lock'),
    watchLog: join(root, 'watch.log'),
    over: join(root, 'over.json'),
    warning: join(root, 'warning.json'),
    firstInLine: join(root, 'first-in-line.json'),
  };
}

/** Makes what is missing. */
export function prepareMachineFolder(machine: MachineFolder): void {
  for (const folder of [machine.root, machine.workdir, machine.jobs, machine.queue, machine.lock, machine.watchLock]) makePrivateFolder(folder);
  if (readText(machine.shim) !== shimText) writeDurably(machine.shim, shimText);
  if (readText(machine.copier) !== copierText) writeDurably(machine.copier, copierText);
}

/** What lies in a job's folder. */
export interface JobFolder {
  readonly id: string;
  readonly path: string;
  /** The job as it was ordered, without secrets: `JobOrder`. */
  readonly order: string;
  /** Until the job has started. */
  readonly secrets: string;
  /** stdout and stderr of setup and command; stdout alone in a job that keeps them apart. */
  readonly log: string;
  /** stderr, of a job that keeps it apart. */
  readonly err: string;
  readonly journal: string;
  /** The newest state in short, for lists: `JobStanding`. */
  readonly standing: string;
  readonly metrics: string;
  /** How far the log was read for metrics: see `metric-place.ts`. */
  readonly metricsAt: string;
  /** `EndRequest`, once somebody wants it to end. */
  readonly cancel: string;
  /** What it was given of the machine, once its turn has come: see `grant.ts`. */
  readonly grant: string;
  /** For the job's programs: there once the job is to end, and says why and until when. See `notice.ts`. */
  readonly preempt: string;
  /** The shim's notes on the setup; those on the command lie in the job's folder itself. */
  readonly setup: string;
  /** Hash of the setup that was begun, as it and the files that it names were then. */
  readonly setupHash: string;
}

export function jobFolder(machine: MachineFolder, id: string): JobFolder {
  const path = join(machine.jobs, checkJobId(id));
  return {
    id,
    path,
    order: join(path, 'job.json'),
    secrets: join(path, 'secrets.json'),
    log: join(path, 'log'),
    err: join(path, 'err'),
    journal: join(path, 'journal.jsonl'),
    standing: join(path, 'state.json'),
    metrics: join(path, 'metrics.jsonl'),
    metricsAt: join(path, 'metrics.at'),
    cancel: join(path, 'cancel.json'),
    grant: join(path, 'grant.json'),
    preempt: join(path, 'preempt.json'),
    setup: join(path, 'setup'),
    setupHash: join(path, 'setup.hash'),
  };
}

/** One stream of a job's log, with what is known of it. */
export interface LogFiles {
  readonly stream: LogStream;
  /** The bytes, just as they were written. */
  readonly bytes: string;
  /** When they came: lines of `formatMark`. */
  readonly times: string;
  /** `LogGap`, once the disk was too small for all of it. */
  readonly gap: string;
}

export function logFiles(job: JobFolder, stream: LogStream): LogFiles {
  const bytes = stream === 'out' ? job.log : job.err;
  return { stream, bytes, times: `${bytes}.times`, gap: `${bytes}.gap` };
}

/** What one stream is written through, while the job runs. In a folder of their own: whoever follows watches that of the log, and would wake up for the pipe, too. */
export interface PipeFiles {
  readonly fifo: string;
  /** Who copies: see `log-copier.ts`. */
  readonly note: string;
}

export function pipeFiles({ path }: JobFolder, stream: LogStream): PipeFiles {
  const fifo = join(path, 'pipes', stream);
  return { fifo, note: `${fifo}.copier` };
}

/** Ids become folder names: nothing that could leave the folder or hide in it gets through. */
const jobIdPattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/;

function checkJobId(id: unknown): string {
  if (typeof id === 'string' && jobIdPattern.test(id)) return id;
  throw new RunnerError('bad-input', `${JSON.stringify(id)} can't be a job's id.`);
}

/** @throws RunnerError not-found */
export function existingJob(machine: MachineFolder, id: unknown): JobFolder {
  const job = jobFolder(machine, id as string);
  if (existsSync(job.order)) return job;
  throw new RunnerError('not-found', `There is no job '${job.id}' on this machine.`);
}

export function jobIds(machine: MachineFolder): string[] {
  return readdirSync(machine.jobs).filter((name) => jobIdPattern.test(name));
}
