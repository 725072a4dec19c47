/** One job from the queue to its `ended` record. Every step can be interrupted by kill -9 of this process and is taken up again from the files. */
import { rmSync } from 'node:fs';
import { setImmediate as othersTurn, setTimeout as sleep } from 'node:timers/promises';
import type { JobEnd } from '../src/protocol/job.ts';
import { isDiskFull, writeWhenThereIsRoom } from './ballast.ts';
import { type CheckpointWatch, watchCheckpoints } from './checkpoints.ts';
import { readJson, readText, writeDurably } from './durable.ts';
import { type EndRequest, endRequest } from './end-request.ts';
import { gpusOf, readGrant } from './grant.ts';
import { describeEnd, endedOnRequest } from './job-end.ts';
import { checkpointsOf, type Env, jobEnv, programOf, shellArgv } from './job-env.ts';
import { isOwnFile, type JobOrder, logPlace, readOrder, writeStanding } from './job-files.ts';
import { type JobLog, openJobLog } from './job-log.ts';
import { endJobProcesses, jobProcesses } from './job-processes.ts';
import { recordTelemetry } from './job-telemetry.ts';
import { type Journal, type NewRecord, openJournal } from './journal.ts';
import { createLookPace } from './look-pace.ts';
import type { JobFolder, MachineFolder } from './machine-folder.ts';
import { type MetricFiles, openMetricFiles } from './metric-files.ts';
import { metricPlace, noteMetricPlace } from './metric-place.ts';
import { type MetricReader, openMetrics } from './metrics.ts';
import { giveNotice } from './notice.ts';
import { openPhase, type Phase, type PhaseEnd, type PhaseStart, wasStarted } from './phase.ts';
import type { ProcessIdentity, ProcessRow } from './processes.ts';
import type { Sampler } from './sampler.ts';
import { clearSetupStamp, isSetUp, setupHash, stampSetup } from './setup-stamp.ts';
import { slowStart } from './slow-start.ts';
import { takenBackText } from './taken-back.ts';
import { calmly, type Wake, wakeOn } from './wake.ts';

interface Course {
  readonly machine: MachineFolder;
  readonly job: JobFolder;
  readonly order: JobOrder;
  readonly journal: Journal;
  readonly metrics: MetricReader;
  readonly files: MetricFiles;
  readonly log: JobLog;
  readonly checkpoints: CheckpointWatch;
  readonly wake: Wake;
  /** Shims whose group is known to be this job's. */
  readonly shims: ProcessIdentity[];
  /** Records that wait for their turn, or for room on the disk. */
  unwritten: readonly NewRecord[];
  readonly around: Surroundings;
  /** Those that were written down, by a runner before us too. */
  readonly told: Set<string>;
  /** Set once an end was asked for: resolves when no process is left. */
  ending: Promise<ProcessRow[]> | null;
}

const syncEveryMs = 1_000;
/** Processes that end with the command by themselves need a moment. */
const settleMs = 300;
const leftoverGraceMs = 5_000;

/** What is known of the machine that the job runs on. */
export interface Surroundings {
  /** What whoever follows the job should know, as it stands now. */
  warnings(id: string): readonly string[];
  /** Called when they have changed, until the returned function is called. */
  listen(onWarnings: () => void): () => void;
  /** The provider takes the machine back. May ask. */
  isTakenBack(): Promise<boolean>;
  /** What the machine is doing meanwhile. */
  readonly sampler: Sampler;
}

export async function superviseJob(machine: MachineFolder, job: JobFolder, around: Surroundings): Promise<void> {
  const order = readOrder(job);
  const journal = openJournal(job.journal);
  const wake = wakeOn([job.path], { ...calmly, isNews: (name) => !isOwnFile(name) });
  const leave = around.listen(wake.poke);
  const metrics = openMetrics(job, order.metrics, metricPlace(job, journal.facts));
  const files = openMetricFiles(machine, job, order);
  const log = openJobLog(machine, job, order, wake.poke);
  const checkpoints = watchCheckpoints({
    workdir: machine.workdir,
    folder: checkpointsOf(machine, order),
    since: wasStarted(job.path) ? journal.facts : null,
    onChange: wake.poke,
  });
  const known = { machine, job, order, journal, metrics, files, log, checkpoints, wake, around };
  const course: Course = { ...known, shims: [], unwritten: [], told: new Set(journal.facts.warned), ending: null };
  try {
    if (journal.facts.state === 'ended') writeStanding(job, journal.facts);
    else await finish(course, await knowingWhy(course, await runPhases(course)));
  } finally {
    leave();
    wake.close();
    checkpoints.close();
    metrics.close();
    files.close();
    log.close();
    journal.close();
  }
}

async function runPhases(course: Course): Promise<JobEnd> {
  const { machine, job, order } = course;
  if (!wasStarted(job.path)) {
    const failed = order.setup === null ? null : await runSetup(course, order.setup);
    if (failed !== null) return failed;
    const asked = endRequest(job);
    if (asked !== null) return endedOnRequest(asked, null);
  }
  const adopted = wasStarted(job.path);
  const env = adopted ? {} : await envOf(course);
  const program = adopted ? { argv: [] } : programOf(order.command, env, machine.workdir);
  if ('problem' in program) {
    await course.log.say(`gpu-run: ${program.problem}\n`);
    return { code: program.code, signal: null, reason: 'not-started', detail: program.problem };
  }
  const from = performance.now();
  if (!adopted) await note(course, { type: 'state', state: 'running', ...logPlace(job) });
  const phase = beginPhase(course, job.path, adopted ? null : { argv: program.argv, env });
  const late = slowStart(performance.now() - from);
  if (late !== null) warn(course, late);
  const endTelemetry = recordTelemetry({ journal: course.journal, sampler: course.around.sampler, gpus: gpusOf(job) });
  const end = await watchPhase(course, phase).finally(endTelemetry);
  if (end.kind === 'not-started') await course.log.say(`gpu-run: ${end.problem}\n`);
  return describeEnd(end, requestOf(course));
}

/** A system that goes down may have told the job's processes before we had heard of it. */
async function knowingWhy({ around }: Course, end: JobEnd): Promise<JobEnd> {
  return end.reason === 'signal' && (await around.isTakenBack()) ? { ...endedOnRequest({ graceMs: 0, why: 'preempted' }, end.code), signal: end.signal } : end;
}

/** null: the machine is set up. */
async function runSetup(course: Course, setup: string): Promise<JobEnd | null> {
  const { machine, job } = course;
  const adopted = wasStarted(job.setup);
  if (!adopted) {
    const grant = readGrant(job); // null: its turn came under an older runner
    const hash = grant === null ? setupHash(setup, machine.workdir) : grant.setup;
    if (hash === null || isSetUp(machine, hash)) return null;
    clearSetupStamp(machine);
    await writeWhenThereIsRoom(machine, () => writeDurably(job.setupHash, hash));
    await note(course, { type: 'state', state: 'setup', ...logPlace(job) });
  }
  const env = await envOf(course);
  const argv = shellArgv(setup, env, machine.workdir);
  const phase = beginPhase(course, job.setup, adopted ? null : { argv, env });
  const end = describeEnd(await watchPhase(course, phase), requestOf(course));
  await course.log.settled(); // its words come before the command's, and what is noted of the log from here on is true
  if (end.reason === 'exit' && end.code === 0) {
    const begun = readText(job.setupHash); // the files that it names may have changed since
    if (begun !== null) await writeWhenThereIsRoom(machine, () => stampSetup(machine, begun));
    course.shims.length = 0; // its group may be empty now, and its number given to somebody else while the command runs
    return null;
  }
  return end.reason === 'exit' || end.reason === 'signal' ? { ...end, reason: 'setup', detail: 'the setup command failed' } : end;
}

function envOf({ machine, job, order }: Course): Promise<Env> {
  return jobEnv(machine, job, order, readJson<Record<string, string>>(job.secrets) ?? {}, process.env);
}

/** null: takes over what was begun. */
function beginPhase({ machine, log, wake }: Course, folder: string, program: Pick<PhaseStart, 'argv' | 'env'> | null): Phase {
  return openPhase(folder, program === null ? null : { ...program, shim: machine.shim, cwd: machine.workdir, output: log.output }, wake);
}

/** Until it ends: reads metrics, keeps what was written on the disk, and looks out for a cancel. */
async function watchPhase(course: Course, phase: Phase): Promise<PhaseEnd> {
  const { job, log } = course;
  const pace = createLookPace();
  let syncedAt = performance.now();
  for (;;) {
    const end = phase.look();
    if (log.look()) course.wake.found();
    if (phase.shim !== null && !course.shims.includes(phase.shim)) course.shims.push(phase.shim);
    if (pace.isReadDue && wasStarted(job.path)) rmSync(job.secrets, { force: true });
    if (end !== null) return end;
    if (course.ending === null && endRequest(job) !== null) beginEnding(course);
    if (pace.isReadDue) {
      pace.hasRead(readAll(course));
      if (performance.now() - syncedAt >= syncEveryMs) {
        keepOnDisk(course);
        syncedAt = performance.now();
      }
    }
    await pace.wait(course.wake, !phase.isHeard || course.checkpoints.isExpected || log.isTight || !log.isHeard);
  }
}

function keepOnDisk({ job, journal, log, metrics, unwritten }: Course): void {
  journal.sync();
  log.sync();
  if (unwritten.length === 0) noteMetricPlace(job, metrics, journal.facts);
}

/** True when there is more at once. */
function readAll(course: Course): boolean {
  tellWarnings(course);
  noteCheckpoints(course, false);
  const others = course.unwritten.length > 0; // they were written down instead
  const more = readMetrics(course, false) && (others || course.metrics.isBehind);
  course.files.update(false);
  return more;
}

/** True when there may be more at once. On a full disk the metrics wait; the job does not. */
function readMetrics(course: Course, final: boolean): boolean {
  const records = course.unwritten.length > 0 ? course.unwritten : course.metrics.read(final);
  if (records === null) return false;
  try {
    course.journal.append(records);
    course.unwritten = [];
    return true;
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    course.unwritten = records;
    return false;
  }
}

function beginEnding(course: Course): void {
  const { job, order, journal, shims } = course;
  const graceMs = () => endRequest(job)?.graceMs ?? order.graceMs;
  const preempted = endRequest(job)?.why === 'preempted';
  if (preempted) tellOnce(course, takenBackText);
  giveNotice(course.machine, job, endRequest(job) ?? { graceMs: order.graceMs });
  const first = preempted ? order.preemptSignal : undefined;
  course.ending = endJobProcesses({ find: () => jobProcesses(job.id, shims), shims, graceMs, ...(first === undefined ? {} : { first }) }).finally(() =>
    course.wake.poke(),
  );
  if (journal.facts.state === 'cancelling') return;
  try {
    journal.append([...course.unwritten, { type: 'state', state: 'cancelling', ...logPlace(job) }]);
    course.unwritten = [];
    writeStanding(job, journal.facts);
    course.log.sync(); // the machine may be on its way down
  } catch (error) {
    if (!isDiskFull(error)) throw error; // no reason not to cancel: the end will be written
  }
}

/** Nothing of the job is left running, everything it wrote has been read, and then it has ended. */
async function finish(course: Course, end: JobEnd): Promise<void> {
  const { job } = course;
  const stuck = course.ending === null ? await endLeftovers(course) : await course.ending;
  if (stuck.length > 0) {
    warn(course, `${stuck.length} processes of the job could not be ended: ${stuck.map(({ pid }) => pid).join(', ')}.`);
  }
  noteCheckpoints(course, true);
  await course.log.finish();
  while (readMetrics(course, true)) await othersTurn(); // after a restart that may be a whole log
  course.files.update(true);
  for (const text of [...course.log.warnings(), ...course.metrics.silent(end.reason === 'exit' && end.code === 0)]) tellOnce(course, text); // it may have ended before the next look
  rmSync(job.secrets, { force: true });
  await note(course, ...course.unwritten, { type: 'state', state: 'ended', ...logPlace(job), end });
}

async function endLeftovers(course: Course): Promise<ProcessRow[]> {
  const { job, order, shims } = course;
  const find = () => jobProcesses(job.id, shims);
  let left = find();
  for (const until = Date.now() + settleMs; left.length > 0 && Date.now() < until; left = find()) await sleep(20);
  if (left.length === 0) return [];
  warn(course, `The command left ${left.length === 1 ? 'a process' : `${left.length} processes`} running; ${left.length === 1 ? 'it is' : 'they are'} ended.`);
  return endJobProcesses({ find, shims, graceMs: () => Math.min(order.graceMs, leftoverGraceMs) });
}

/** Why its end was begun, by us or by a runner before us; null: it was not. */
function requestOf({ ending, job, journal }: Course): EndRequest | null {
  const request = endRequest(job);
  return ending === null && journal.facts.state !== 'cancelling' && request?.signalled !== true ? null : (request ?? { graceMs: 0 });
}

async function note({ machine, job, journal }: Course, ...records: readonly NewRecord[]): Promise<void> {
  await writeWhenThereIsRoom(machine, () => journal.append(records));
  await writeWhenThereIsRoom(machine, () => writeStanding(job, journal.facts));
}

/** Those that are complete: at the job's end all are. They are written down with the metrics. */
function noteCheckpoints(course: Course, final: boolean): void {
  const { job, checkpoints } = course;
  if (wasStarted(job.path)) course.unwritten = [...course.unwritten, ...checkpoints.look(final)];
}

function warn(course: Course, text: string): void {
  course.unwritten = [...course.unwritten, { type: 'note', level: 'warn', text }];
}

/** Each once as long as it holds: what comes back is told again. */
function tellWarnings(course: Course): void {
  const texts = [...course.around.warnings(course.job.id), ...course.log.warnings()];
  for (const text of course.told) if (text !== takenBackText && !texts.includes(text)) course.told.delete(text);
  for (const text of texts) tellOnce(course, text);
}

/** With the records that say what came of it. */
function tellOnce(course: Course, text: string): void {
  if (course.told.has(text)) return;
  course.told.add(text);
  warn(course, text);
}
