/** `report`: how well a job used its machine, from its records: of a running job as far as they go, of one whose machine is gone from the copy here. */
import { GpuRunError, toGpuRunError } from '../core/errors.ts';
import { attemptStart, type JobEntry, type JobRecord } from '../core/job.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { LogStream } from '../protocol/log.ts';
import { shareOf } from './after-job.ts';
import { costOfAttempts } from './attempts-cost.ts';
import type { RunContext } from './context.ts';
import { machineOf } from './find.ts';
import { followFrom } from './follow-from.ts';
import { copiedBytes, copiedMarks, copiedRecords, hasCopy, lastCopiedRecord } from './job-copy.ts';
import { isGone, reachOrLose } from './reach-machine.ts';
import { adviceFor, unknownOf } from './report-advice.ts';
import { type CostFigures, type Evidence, type GpuFigures, type JobReport, spansOf, type TrainingFigures, warningsOf } from './report-figures.ts';
import { gpuFigures, hostFigures } from './report-gpus.ts';
import { createThinner, thinTimes } from './report-thin.ts';
import { checkpointFigures, longestSilence, runStretches, spansWhileRunning, timeFigures } from './report-times.ts';
import { createTraining, trainingFigures } from './report-training.ts';

/** A machine that does not answer in this time is reported on from what is here. */
const fetchWithinMs = 60_000;

/** @throws GpuRunError `not-found`; `lost` when its machine is gone and nothing of the job is here */
export async function report(jobId: string, context: RunContext): Promise<JobReport> {
  const known = context.ledger.getJob(jobId);
  if (known === null) throw new GpuRunError('not-found', `There is no job '${jobId}'.`, { hints: ['gpu-run status --all   lists jobs'] });
  const machine = machineOf(known, context);
  const { job, until } = await fetchMissing(known, machine, context);
  if (!hasCopy(context.home.jobs, job.id) && job.state === 'ended') {
    throw new GpuRunError('lost', `The machine of ${job.id} is gone, and nobody followed the job from this computer: there is nothing to report on.`);
  }
  return reportFromCopy(job, context.ledger.get(machine.id) ?? machine, context, until);
}

/** From what is on this computer, at once. @param until as in `ReportParts` */
export function reportFromCopy(
  job: JobEntry,
  machine: MachineEntry,
  context: Pick<RunContext, 'ledger' | 'clock' | 'home'>,
  until: number | null = null,
): JobReport {
  const training = createTraining();
  const thinner = createThinner();
  for (const record of copiedRecords(context.home.jobs, job.id)) {
    training.add(record);
    thinner.add(record);
  }
  const jobs = context.ledger.listJobs({ machineId: machine.id });
  const before = (job.earlier ?? []).flatMap(({ machineId }) => context.ledger.get(machineId) ?? []);
  const writtenAt = (['out', 'err'] as const).flatMap((stream) => thinTimes(markTimes(context.home.jobs, job.id, stream)));
  const { usd } = costOfAttempts(job, machine, context);
  return reportOn({ job, machine, before, jobs, records: thinner.records(), training: training.figures(), until, writtenAt, usd });
}

function* markTimes(folder: string, jobId: string, stream: LogStream): Generator<number> {
  for (const [, at] of copiedMarks(folder, jobId, stream)) yield at;
}

export interface ReportParts {
  readonly job: JobEntry;
  readonly machine: MachineEntry;
  /** Those of its earlier attempts, as far as they are known. */
  readonly before?: readonly MachineEntry[];
  /** All of the machine, this one among them. */
  readonly jobs: readonly JobEntry[];
  readonly records: readonly JobRecord[];
  /** Where `records` are not all: what all of them come to. */
  readonly training?: TrainingFigures;
  /** Up to when its records are known, milliseconds since the epoch; absent or null: to the newest. */
  readonly until?: number | null;
  /** When it wrote something, milliseconds since the epoch on the machine; empty: that is not known. */
  readonly writtenAt?: readonly number[];
  /** What the job cost. */
  readonly usd: number;
}

export function reportOn(parts: ReportParts): JobReport {
  const { job, machine, before = [], jobs, records, training = trainingFigures(records), until = null, writtenAt = [], usd } = parts;
  const runs = runStretches(records, { until, writtenAt });
  const spans = spansWhileRunning(spansOf(records), runs);
  const gpus = gpuFigures(spans);
  const times = timeFigures(records, spans, { job, machine, jobs }, { silence: longestSilence(runs, writtenAt), until, writtenAt });
  const evidence: Evidence = {
    job,
    machine,
    attempts: Math.max(1, job.attempts, runs.length),
    times,
    gpus,
    host: hostFigures(spans),
    training,
    checkpoints: checkpointFigures(records, times.run),
    cost: costFigures(job, machine, { gpus, secondsPerEpoch: training.secondsPerEpoch, usd, isOnePrice: isOnePrice(job, [machine, ...before]) }),
  };
  const words = { advice: adviceFor(evidence), warnings: warningsOf(records), unknown: unknownOf(evidence) };
  return { ...evidence, asOf: records.at(-1)?.t ?? null, records, ...words };
}

/** All attempts ran on machines like the first of these, as far as money goes. */
function isOnePrice({ earlier = [] }: JobEntry, machines: readonly MachineEntry[]): boolean {
  const priceOf = (offer?: MachineEntry['offer']) => offer && `${offer.price.perHour} for ${offer.gpu?.count ?? 0}`;
  return earlier.every(({ machineId }) => priceOf(machines.find(({ id }) => id === machineId)?.offer) === priceOf(machines[0]?.offer));
}

interface CostParts {
  readonly gpus: readonly GpuFigures[];
  readonly secondsPerEpoch: number | null;
  readonly usd: number;
  readonly isOnePrice: boolean;
}

function costFigures(job: JobEntry, { offer }: MachineEntry, { gpus, secondsPerEpoch, usd, isOnePrice }: CostParts): CostFigures {
  const { perHour } = offer.price;
  const count = Math.max(offer.gpu?.count ?? 0, gpus.length);
  const tells = gpus.filter(({ idleShare }) => idleShare !== null);
  const idleSeconds = tells.reduce((sum, { idleShare, seconds }) => sum + (idleShare ?? 0) * seconds, 0);
  return {
    pricePerHour: perHour,
    usd,
    idleUsd: tells.length === 0 || !isOnePrice ? null : ((idleSeconds / 3600) * perHour) / count,
    perEpochUsd: secondsPerEpoch === null ? null : (secondsPerEpoch / 3600) * perHour * shareOf(job),
  };
}

interface Fetched {
  readonly job: JobEntry;
  readonly until: number | null;
}

/** What has been written since and nobody here has followed. A report on what is here is better than none. */
async function fetchMissing(job: JobEntry, machine: MachineEntry, context: RunContext): Promise<Fetched> {
  const { jobs } = context.home;
  const last = lastCopiedRecord(jobs, job.id);
  const isWhole = last?.type === 'state' && last.state === 'ended' && last.n > attemptStart(job).records;
  if (isWhole || machine.state !== 'ready') return { job, until: null };
  const limited: RunContext = { ...context, signal: AbortSignal.any([context.signal, AbortSignal.timeout(fetchWithinMs)]) };
  try {
    const first = await reachOrLose(machine, limited);
    const ahead = (await first.runner.call('hello', {})).now - context.clock.now(); // records have the machine's time
    const places = { logOffset: copiedBytes(jobs, job.id, 'out'), errOffset: copiedBytes(jobs, job.id, 'err'), record: last?.n ?? 0 };
    const now = await followFrom({ job, machine, ...places, follow: false, first }, limited, () => {});
    return { job: now, until: now.state === 'ended' ? null : context.clock.now() + ahead };
  } catch (error) {
    if (context.signal.aborted) throw error;
    const { message } = toGpuRunError(error);
    const here = last === null ? 'nothing of it is here' : 'this is from what is here';
    context.reporter.report({ type: 'note', level: 'warn', text: `What ${job.id} wrote last could not be fetched, ${here}: ${message}` });
    return { job: isGone(error) ? (context.ledger.getJob(job.id) ?? job) : job, until: null };
  }
}
