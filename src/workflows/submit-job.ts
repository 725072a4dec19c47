/** Puts an attempt of a job into the queue of its machine. */
import { attemptStart, type JobEntry, type PastAttempt, runnerJobId } from '../core/job.ts';
import { ownIdentity } from '../core/process-identity.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import { throwIfCancelled } from './between-attempts.ts';
import type { RunContext } from './context.ts';
import { gpusForJob } from './existing-machine.ts';
import { copiedBytes, lastCopiedRecord } from './job-copy.ts';
import { noteArrived, noteSending } from './keep-job.ts';
import { besideClaimed, type PlannedJob } from './plan-job.ts';
import { queueText } from './queue-place.ts';
import type { ReachedMachine } from './reach-machine.ts';
import type { TrainInput } from './train-input.ts';
import { wandbEnv } from './wandb-env.ts';

/**
 * Right before the runner hears of it: a job that runs is never unknown here, and one that is known here is there soon, or its sender has died.
 * `before`: the attempt before this one; null: this is the first. `isFirst`: as `planJob` was told. @throws as `throwIfCancelled`
 */
export function orderJob(
  planned: PlannedJob,
  before: JobEntry | null,
  input: TrainInput,
  machine: MachineEntry,
  context: RunContext,
  isFirst = false,
): JobEntry {
  const job = before === null ? firstAttempt(planned, input, machine, context) : nextAttempt({ ...before, ...planned }, input, machine, context);
  context.ledger.changeJob(job.id, (known) => (known?.end?.reason === 'cancelled' ? null : job));
  throwIfCancelled(before, context); // in the last moment
  context.reporter.report({ type: 'phase', phase: 'run', status: 'begin', text: `Starting ${job.id}${before === null ? '' : `, attempt ${job.attempts}`}` });
  return isFirst || before?.machineId === machine.id ? job : besideClaimed(job, input, machine, context);
}

/** Again after a connection that broke: it starts nothing twice. `resumeFrom`: folder on the machine, relative to the workdir. */
export async function submitJob(job: JobEntry, input: TrainInput, resumeFrom: string | null, reached: ReachedMachine, context: RunContext): Promise<void> {
  const { command, setup, env, secrets, outputs, metrics, graceMs, retry, preemptSignal } = input;
  const folder = job.checkpoints ?? retry.resumeFrom;
  const checkpoints = folder === null ? {} : { checkpoints: folder };
  const signal = preemptSignal === null ? {} : { preemptSignal };
  noteSending(job, context);
  const { ahead } = await reached.runner.call('submit', {
    spec: {
      ...{
        id: runnerJobId(job),
        name: job.id,
        attempt: job.attempts,
        command,
        setup,
        env: { ...wandbEnv(job.id, input), ...env },
        secrets,
        outputs,
        metrics,
        graceMs,
        resumeFrom,
        gpus: job.gpus?.count ?? null,
      },
      ...checkpoints,
      ...signal,
      ...logSpec(input),
    },
  });
  noteArrived(job, context);
  if (ahead > 0 && (job.gpus ?? null) === null) await tellPlace(job, reached, context);
}

/** Only a sentence: the job is there. */
async function tellPlace(job: JobEntry, { runner, machine }: ReachedMachine, { reporter }: RunContext): Promise<void> {
  const { jobs } = await runner.call('jobs', {}).catch(() => ({ jobs: [] }));
  const text = queueText(runnerJobId(job), jobs, machine.name);
  if (text !== null) reporter.report({ type: 'phase', phase: 'queue', status: 'begin', text });
}

/** Who will fetch what the job makes, and who starts it again. */
function awaited({ detach, retry }: TrainInput, attempt: number): Pick<JobEntry, 'awaitedBy' | 'retriedBy'> {
  const self = ownIdentity();
  return { awaitedBy: detach ? null : self, retriedBy: detach || attempt >= retry.attempts ? null : self };
}

function firstAttempt(planned: PlannedJob, input: TrainInput, machine: MachineEntry, context: RunContext): JobEntry {
  const { command, up } = input;
  const now = context.clock.now();
  return {
    ...awaited(input, 1),
    ...planned,
    machineId: machine.id,
    machineName: machine.name,
    command: command.kind === 'shell' ? command.text : command.argv.join(' '),
    state: 'queued',
    end: null,
    attempts: 1,
    gpus: gpusForJob(up.need, machine.offer),
    createdAt: now,
    startedAt: null,
    endedAt: null,
    asOf: now,
    user: context.user,
    branch: context.branch,
    commit: context.commit ?? null,
  };
}

/** Its log and records go on behind what is here of those before. */
function nextAttempt(
  { again: _, cancelAsked: __, arrived: ___, ...before }: JobEntry,
  input: TrainInput,
  machine: MachineEntry,
  { home, clock }: RunContext,
): JobEntry {
  const { machineId, gpus = null, startedAt, endedAt, end, earlier = [] } = before;
  const start = attemptStart(before);
  const past: PastAttempt = {
    ...{ machineId, gpus, startedAt, endedAt, end },
    logBytes: Math.max(start.logBytes, copiedBytes(home.jobs, before.id, 'out')),
    errBytes: Math.max(start.errBytes, copiedBytes(home.jobs, before.id, 'err')),
    records: Math.max(start.records, lastCopiedRecord(home.jobs, before.id)?.n ?? 0),
  };
  const here = { machineId: machine.id, machineName: machine.name, attempts: before.attempts + 1, earlier: [...earlier, past] };
  const room = { gpus: gpusForJob(input.up.need, machine.offer), givenGpus: null, waitsFor: null, ...awaited(input, before.attempts + 1) };
  return { ...before, ...here, ...room, state: 'queued', end: null, startedAt: null, endedAt: null, asOf: clock.now() };
}

function logSpec({ splitLog = false, logLimitBytes = null }: TrainInput): { splitLog?: boolean; logLimit?: number } {
  return { ...(splitLog ? { splitLog } : {}), ...(logLimitBytes === null ? {} : { logLimit: logLimitBytes }) };
}
