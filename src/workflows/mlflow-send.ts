/**
 * Sends a job's metrics to MLflow while it is followed, in the background: it never fails the job and never slows it. What was sent
 * is written down beside the job's copy, so that whoever follows next goes on there; of a batch whose fate is unknown, what has
 * arrived is asked for first.
 */
import { closeSync, openSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { GpuRunError, toGpuRunError } from '../core/errors.ts';
import type { JobEntry } from '../core/job.ts';
import { mayBeAlive, type ProcessIdentity } from '../core/process-identity.ts';
import type { RunContext } from './context.ts';
import { type MlflowApi, type MlflowMetric, mostMetrics, openMlflow } from './mlflow-api.ts';
import { openRows, type RecordRows } from './mlflow-rows.ts';

const everyMs = 2_000;
const longestPauseMs = 60_000;
/** What is left when the job has ended is waited for this long, milliseconds. */
const lastCallMs = 10_000;
const jobTag = 'gpu-run.job';

interface Sent {
  readonly trackingUri: string;
  readonly experiment: string;
  readonly runId: string;
  /** All records up to this number have arrived. */
  readonly upTo: number;
  /** Some of the records up to this number may have arrived. */
  readonly perhaps: number;
}

/** Ends with what is left: disposing it waits for that, but not long. Does nothing where nobody wants it, or another process does it. */
export function sendMetrics(job: JobEntry, context: RunContext): AsyncDisposable {
  const { mlflow: target = null, home, clock } = context;
  const folder = join(home.jobs, job.id);
  if (target === null || !takeLock(folder, context.self)) return { [Symbol.asyncDispose]: async () => {} };
  const stop = new AbortController();
  const hurry = new AbortController();
  const api = openMlflow(target, hurry.signal);
  const rows = openRows(home.jobs, job.id);
  let sent: Sent | null = readSent(folder, target);
  let batch: RecordRows[] = [];
  let warned = false;

  const warn = (error: GpuRunError) => {
    if (warned) return;
    warned = true;
    const after = error.retry === 'never' ? 'They are not sent' : 'It is tried again';
    const text = `The metrics of ${job.id} could not be sent to MLflow at ${target.trackingUri}: ${error.message}. ${after}; the job goes on.`;
    context.reporter.report({ type: 'note', level: 'warn', text });
  };
  const keep = (next: Sent) => {
    sent = next;
    writeFileSync(join(folder, 'mlflow.json.new'), JSON.stringify(next), { mode: 0o600 });
    renameSync(join(folder, 'mlflow.json.new'), join(folder, 'mlflow.json'));
  };
  /** True when there may be more at once. */
  const sendSome = async (): Promise<boolean> => {
    if (batch.length === 0) batch = nextBatch(rows, sent?.upTo ?? 0);
    const [final] = batch.slice(-1);
    if (final === undefined) return false;
    if (sent === null) {
      const runId = await beginRun(api, job, target.experiment);
      keep({ trackingUri: target.trackingUri, experiment: target.experiment, runId, upTo: 0, perhaps: 0 });
    }
    const now = sent as unknown as Sent;
    const metrics = await withoutArrived(api, now, batch);
    keep({ ...now, perhaps: Math.max(now.perhaps, final.n) });
    for (let from = 0; from < metrics.length; from += mostMetrics) await api.logBatch(now.runId, metrics.slice(from, from + mostMetrics));
    const status = batch.findLast((row) => row.status !== null)?.status ?? null;
    if (status !== null) await api.setStatus(now.runId, status.status, status.endTime);
    keep({ ...now, upTo: final.n, perhaps: final.n });
    batch = [];
    return true;
  };
  const work = async () => {
    for (let pauseMs = everyMs; ; ) {
      const stopping = stop.signal.aborted;
      try {
        while (await sendSome());
        pauseMs = everyMs;
      } catch (error) {
        const failure = toGpuRunError(error);
        if (hurry.signal.aborted) return;
        warn(failure);
        if (failure.retry === 'never') return;
        pauseMs = Math.min(longestPauseMs, pauseMs * 2);
      }
      if (stopping) return;
      await clock.sleep(pauseMs, stop.signal).catch(() => {});
    }
  };
  const working = work();
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      const limit = setTimeout(() => hurry.abort(new GpuRunError('connection', 'it took too long')), lastCallMs);
      await working;
      clearTimeout(limit);
      rows.close();
      rmSync(join(folder, 'mlflow.lock'), { force: true });
    },
  };
}

/** Whole records behind `from`, as many as fit into one call; a record with more than that is a batch of its own. */
function nextBatch(rows: ReturnType<typeof openRows>, from: number): RecordRows[] {
  const batch: RecordRows[] = [];
  for (let count = 0; count + 100 <= mostMetrics; ) {
    const row = rows.next();
    if (row === null) break;
    if (row.n <= from) continue;
    batch.push(row);
    count += row.metrics.length;
  }
  return batch;
}

/** A run that an earlier gpu-run has begun, before it could write that down, is gone on with. */
async function beginRun(api: MlflowApi, job: JobEntry, experiment: string): Promise<string> {
  const experimentId = await api.experiment(experiment);
  const begun = await api.findRun(experimentId, jobTag, job.id);
  if (begun !== null) return begun;
  const tags = {
    [jobTag]: job.id,
    'gpu-run.machine': job.machineName,
    'gpu-run.command': job.command.slice(0, 4_000),
    'mlflow.user': job.user,
    ...(job.branch === null ? {} : { 'mlflow.source.git.branch': job.branch }),
    ...(job.commit === null || job.commit === undefined ? {} : { 'mlflow.source.git.commit': job.commit }),
  };
  return api.createRun(experimentId, job.id, Math.trunc(job.createdAt), tags);
}

/** MLflow keeps whatever it is sent, twice what it is sent twice. */
async function withoutArrived(api: MlflowApi, { runId, perhaps }: Sent, batch: readonly RecordRows[]): Promise<readonly MlflowMetric[]> {
  const doubtful = batch.filter(({ n }) => n <= perhaps).flatMap(({ metrics }) => metrics);
  if (doubtful.length === 0) return batch.flatMap(({ metrics }) => metrics);
  const arrived = new Set<string>();
  const nameOf = ({ key, timestamp, step, value }: MlflowMetric) => `${key} ${timestamp} ${step} ${value}`;
  for (const key of new Set(doubtful.map((metric) => metric.key))) for (const metric of await api.history(runId, key)) arrived.add(nameOf(metric));
  return batch.flatMap(({ metrics }) => metrics.filter((metric) => !arrived.has(nameOf(metric))));
}

/** null: nothing was sent to this place. */
function readSent(folder: string, target: { readonly trackingUri: string; readonly experiment: string }): Sent | null {
  try {
    const sent = JSON.parse(readFileSync(join(folder, 'mlflow.json'), 'utf8')) as Sent;
    return sent.trackingUri === target.trackingUri && sent.experiment === target.experiment ? sent : null;
  } catch {
    return null;
  }
}

/** One process a job sends. */
function takeLock(folder: string, self: ProcessIdentity): boolean {
  const file = join(folder, 'mlflow.lock');
  for (const again of [true, false]) {
    try {
      const fd = openSync(file, 'wx', 0o600);
      writeSync(fd, JSON.stringify(self));
      closeSync(fd);
      return true;
    } catch {
      if (!again || isHeld(file)) return false;
      rmSync(file, { force: true });
    }
  }
  return false;
}

function isHeld(file: string): boolean {
  try {
    return mayBeAlive(JSON.parse(readFileSync(file, 'utf8')) as ProcessIdentity);
  } catch {
    return false; // its holder died while it wrote it
  }
}
