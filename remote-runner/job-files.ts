/** A job as files: how it is put into the queue, and what a look at its files says. */
import { closeSync, existsSync, linkSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isJobSummary } from '../src/protocol/answer-parse.ts';
import type { JobEnd, JobRecord, JobSpec, JobState, JobSummary } from '../src/protocol/job.ts';
import { isEnd, isState } from '../src/protocol/job-parse.ts';
import { isCount, isFields, isListOf, isNullOr, isText, isTime } from '../src/protocol/shape.ts';
import { isMissing, openIfThere, readChecked, readJson, readText, syncFolder, writeDurably } from './durable.ts';
import { gpusOf } from './grant.ts';
import { factsOf, type JournalFacts, lastRecord } from './journal.ts';
import { type JobFolder, jobFolder, type MachineFolder } from './machine-folder.ts';

/** A job as it was ordered. Secrets lie in a file of their own until the job has started. */
export type JobOrder = Omit<JobSpec, 'secrets'> & {
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
};

/** The newest state, so that lists need not read journals. The journal is the truth. */
interface JobStanding {
  readonly state: JobState;
  readonly end: JobEnd | null;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
}

/** Makes the job's folder, whole or not at all. The same id again changes nothing. */
export function createJob(machine: MachineFolder, spec: JobSpec): JobFolder {
  const job = jobFolder(machine, spec.id);
  if (existsSync(job.order)) return job;
  const { secrets, ...rest } = spec;
  const order: JobOrder = { ...rest, createdAt: Date.now() };
  const hidden = `${join(machine.jobs, `.${job.id}`)}.${process.pid}.${process.hrtime.bigint()}`;
  mkdirSync(hidden, { mode: 0o700 });
  try {
    if (Object.keys(secrets).length > 0) writeDurably(join(hidden, 'secrets.json'), JSON.stringify(secrets));
    writeDurably(join(hidden, 'job.json'), JSON.stringify(order));
    renameSync(hidden, job.path);
  } catch (error) {
    rmSync(hidden, { recursive: true, force: true });
    if (!existsSync(job.order)) throw error; // else the same job was submitted at the same moment
  }
  syncFolder(machine.jobs);
  return job;
}

export interface QueueEntry {
  readonly file: string;
  readonly id: string;
}

/** Jobs that have not ended, in the order of their submission, each once: two who queue the same job at the same moment both succeed. */
export function queueEntries(machine: MachineFolder): QueueEntry[] {
  const seen = new Set<string>();
  return turns(machine).flatMap((turn) => {
    const file = turnFile(machine, turn);
    const id = readText(file);
    if (id === null || seen.has(id)) return [];
    seen.add(id);
    return [{ file, id }];
  });
}

/** Behind all that wait or run. Does nothing when it is there already, or has ended. */
export function enqueue(machine: MachineFolder, job: JobFolder): void {
  if (readStanding(job)?.state === 'ended' || queueEntries(machine).some(({ id }) => id === job.id)) return;
  const hidden = join(machine.queue, `.${job.id}.${process.pid}`);
  writeDurably(hidden, job.id);
  try {
    while (!tryLink(hidden, turnFile(machine, (turns(machine).at(-1) ?? 0) + 1)));
  } finally {
    rmSync(hidden, { force: true });
  }
  syncFolder(machine.queue);
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

function turns(machine: MachineFolder): number[] {
  const names = readdirSync(machine.queue).filter((name) => /^\d{12}$/.test(name));
  return names.map(Number).sort((a, b) => a - b);
}

function turnFile(machine: MachineFolder, turn: number): string {
  return join(machine.queue, String(turn).padStart(12, '0'));
}

/** The serving process watches the queue's folder: writing here makes it look at everything at once. */
export function wakeServe(machine: MachineFolder): void {
  writeFileSync(join(machine.queue, 'wake'), '', { mode: 0o600 });
}

/** @throws when the job's folder was damaged from outside */
export function readOrder(job: JobFolder): JobOrder {
  const order = readJson<JobOrder>(job.order);
  if (order === null) throw new Error(`${job.order} is missing`);
  return order;
}

/** null: it was damaged from outside, which must stop no other job. */
export function readableOrder(job: JobFolder): JobOrder | null {
  try {
    const order = readOrder(job);
    return isOrder(order) ? order : null;
  } catch {
    return null;
  }
}

/** As far as anybody but the job itself stands on it. */
function isOrder(value: unknown): boolean {
  if (!isFields(value)) return false;
  const { attempt, command, createdAt, env, name = '', setup = null, gpus = null } = value;
  const isCommand = isFields(command) && (command['kind'] === 'shell' ? isText(command['text']) : isListOf(isText, command['argv']));
  return isCommand && isCount(attempt) && isTime(createdAt) && isFields(env) && isText(name) && isNullOr(isText, setup) && isNullOr(isCount, gpus);
}

/** Of a job whose order can't be read: all that is left to tell. */
const damagedOrder = { attempt: 1, command: { kind: 'shell', text: '(its order was damaged)' }, createdAt: 0, splitLog: false, gpus: null } as const;

export function writeStanding(job: JobFolder, { state, end, startedAt, endedAt }: JournalFacts): void {
  if (state !== null) writeDurably(job.standing, JSON.stringify({ state, end, startedAt, endedAt } satisfies JobStanding));
}

/** null: it has none yet. A job may damage it, and more of its files: nobody else may suffer from that. One that nothing can be told of may well run. */
export function readStanding(job: JobFolder): JobStanding | null {
  const standing = readChecked<JobStanding>(job.standing, isStanding);
  if (standing !== 'damaged') return standing;
  const { state, end, startedAt, endedAt } = factsOf(job.journal);
  const told = { state, end, startedAt, endedAt };
  return isStanding(told) ? (told as JobStanding) : unreadable;
}

function isStanding(value: unknown): boolean {
  if (!isFields(value)) return false;
  const { state, end, startedAt, endedAt } = value;
  return isState(state) && (state === 'ended' ? isEnd(end) : end === null) && isNullOr(isTime, startedAt) && isNullOr(isTime, endedAt);
}

const unreadable = { state: 'running', end: null, startedAt: null, endedAt: null } as const;

/** `waitsFor`: as `JobSummary` has it. What a job has damaged costs its own summary, and no answer that others are in. */
export function summarize(job: JobFolder, waitsFor: string | null = null): JobSummary {
  try {
    const summary = lookAtFiles(job, waitsFor);
    if (isJobSummary(summary)) return summary;
  } catch {
    // a folder that may not be looked into any more
  }
  const { attempt, command, createdAt, gpus } = damagedOrder;
  return { id: job.id, attempt, ...unreadable, command: command.text, createdAt, gpus, givenGpus: null, waitsFor: null, logBytes: 0, records: 0 };
}

function lookAtFiles(job: JobFolder, waitsFor: string | null): JobSummary {
  const { attempt, command, createdAt, splitLog, gpus = null } = readableOrder(job) ?? damagedOrder;
  const standing = readStanding(job) ?? { state: 'queued', end: null, startedAt: null, endedAt: null };
  const newest = newestRecord(job);
  // The record comes first: a follower who has seen the end must find it here, too.
  const isEnded = newest?.type === 'state' && newest.state === 'ended' && isEnd(newest.end) && isTime(newest.t);
  const ended = isEnded ? { state: newest.state, end: newest.end, endedAt: newest.t } : null;
  const words = command.kind === 'shell' ? command.text : command.argv.join(' ');
  const givenGpus = gpusOf(job)?.map(({ index }) => index) ?? null;
  const waits = standing.state === 'queued' && ended === null ? waitsFor : null;
  return {
    id: job.id,
    attempt,
    ...standing,
    ...ended,
    command: words,
    createdAt,
    gpus,
    givenGpus,
    waitsFor: waits,
    logBytes: fileSize(job.log),
    ...(splitLog === true ? { errBytes: fileSize(job.err) } : {}),
    records: newest?.n ?? 0,
  };
}

/** Names of what whoever watches the job writes into its folder, and files that are yet to be given their names. */
export function isOwnFile(name: string): boolean {
  return name.startsWith('.') || name.endsWith('.times') || ['journal.jsonl', 'state.json', 'metrics.at'].includes(name);
}

/** Where the job's logs stand now, for a record. */
export function logPlace(job: JobFolder): { readonly logOffset: number; readonly errOffset?: number } {
  return { logOffset: fileSize(job.log), ...(existsSync(job.err) ? { errOffset: fileSize(job.err) } : {}) };
}

/** 0 when there is no such file yet. */
export function fileSize(file: string): number {
  try {
    return statSync(file, { throwIfNoEntry: false })?.size ?? 0; // an error costs ten times as much
  } catch (error) {
    if (isMissing(error)) return 0;
    throw error;
  }
}

function newestRecord(job: JobFolder): JobRecord | null {
  const fd = openIfThere(job.journal);
  if (fd === null) return null;
  try {
    return lastRecord(fd);
  } finally {
    closeSync(fd);
  }
}
