/**
 * Sends a job's metrics to MLflow while it is followed, in the background: it never fails the job and never slows it. What was sent
 * is written down beside the job's copy, so that whoever follows next goes on there; of a batch whose fate is unknown, what has
 * arrived is asked for first.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GpuRunError, toGpuRunError } from '../core/errors.ts';
import type { JobEntry } from '../core/job.ts';
import type { RunContext } from './context.ts';
import { takeLock } from './lock-file.ts';
import { type MlflowApi, type MlflowMetric, mostMetrics, openMlflow } from './mlflow-api.ts';
import { logMetrics } from './mlflow-log.ts';
import { openRows, type RecordRows } from './mlflow-rows.ts';

const everyMs = 2_000;
const longestPauseMs = 60_000;
/** What is left when the job has ended is waited for this long, milliseconds. */
const lastCallMs = 10_000;
/** The same, by somebody who wants to leave. */
const leavingMs = 2_000;
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
  const lock = target === null ? null : takeLock(folder, 'mlflow.lock', context.self);
  if (target === null || lock === null) return { [Symbol.asyncDispose]: async () => {} };
  const stop = new AbortController();
  const hurry = new AbortController();
  const api = openMlflow(target, hurry.signal);
  const rows = openRows(home.jobs, job.id);
  let sent: Sent | null = readSent(folder, target);
  let batch: RecordRows[] = [];
  const arrived = arrivals(api);
  const said = new Set<string>();

  const warn = (error: GpuRunError, after: string) => {
    if (said.has(after)) return;
    said.add(after);
    const text = `The metrics of ${job.id} could not be sent to MLflow at ${target.trackingUri}: ${error.message}. ${after}.`;
    context.reporter.report({ type: 'note', level: 'warn', text });
  };
  const tellRefused = (count: number) => {
    if (count === 0 || said.has('refused')) return;
    said.add('refused');
    const text = `MLflow at ${target.trackingUri} refuses some metrics of ${job.id}: they are left out there, and are in its metrics.jsonl.`;
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
      const run = await beginRun(api, job, target.experiment);
      // What an earlier gpu-run has sent it is not known here.
      keep({ trackingUri: target.trackingUri, experiment: target.experiment, runId: run.id, upTo: 0, perhaps: run.isNew ? 0 : Number.MAX_SAFE_INTEGER });
    }
    const now = sent as unknown as Sent;
    const metrics = await arrived.without(now, batch);
    const perhaps = Math.max(now.perhaps, final.n);
    keep({ ...now, perhaps });
    tellRefused(await logMetrics(api, now.runId, metrics));
    const status = batch.findLast((row) => row.status !== null)?.status ?? null;
    if (status !== null) await api.setStatus(now.runId, status.status, status.endTime);
    keep({ ...now, upTo: final.n, perhaps });
    batch = [];
    return true;
  };
  /** Tells what failed; true when it is not tried again. */
  const isOver = (failure: GpuRunError, stopping: boolean): boolean => {
    arrived.forget();
    const isLast = stopping || hurry.signal.aborted;
    const isRefused = failure.retry === 'never' && !hurry.signal.aborted;
    warn(
      failure,
      isRefused ? 'They are not sent; the job goes on' : isLast ? `gpu-run logs ${job.id} --follow sends what is left` : 'It is tried again; the job goes on',
    );
    return isRefused || isLast;
  };
  const work = async () => {
    for (let pauseMs = everyMs; ; ) {
      const stopping = stop.signal.aborted;
      try {
        while (await sendSome());
        pauseMs = everyMs;
      } catch (error) {
        if (isOver(toGpuRunError(error), stopping)) return;
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
      const giveUp = () => hurry.abort(new GpuRunError('connection', 'it took too long'));
      const limits = [setTimeout(giveUp, lastCallMs)];
      const leave = () => limits.push(setTimeout(giveUp, leavingMs));
      if (context.signal.aborted) leave();
      else context.signal.addEventListener('abort', leave);
      await working;
      context.signal.removeEventListener('abort', leave);
      for (const limit of limits) clearTimeout(limit);
      rows.close();
      lock[Symbol.dispose]();
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
async function beginRun(api: MlflowApi, job: JobEntry, experiment: string): Promise<{ readonly id: string; readonly isNew: boolean }> {
  const experimentId = await api.experiment(experiment);
  const begun = await api.findRun(experimentId, jobTag, job.id);
  if (begun !== null) return { id: begun, isNew: false };
  const tags = {
    [jobTag]: job.id,
    'gpu-run.machine': job.machineName,
    'gpu-run.command': job.command.slice(0, 4_000),
    'mlflow.user': job.user,
    ...(job.branch === null ? {} : { 'mlflow.source.git.branch': job.branch }),
    ...(job.commit === null || job.commit === undefined ? {} : { 'mlflow.source.git.commit': job.commit }),
  };
  return { id: await api.createRun(experimentId, job.id, Math.trunc(job.createdAt), tags), isNew: true };
}

interface Arrivals {
  /** What of a batch is not there yet: MLflow keeps whatever it is sent, twice what it is sent twice. */
  without(sent: Sent, batch: readonly RecordRows[]): Promise<readonly MlflowMetric[]>;
  /** After a call whose fate is unknown: it is asked anew. */
  forget(): void;
}

/** What a run holds of a metric is asked for once. */
function arrivals(api: MlflowApi): Arrivals {
  const known = new Map<string, ReadonlySet<string>>();
  const nameOf = ({ timestamp, step, value }: MlflowMetric) => `${timestamp} ${step} ${value}`;
  return {
    async without({ runId, perhaps }, batch) {
      for (const { key } of batch.flatMap(({ n, metrics }) => (n <= perhaps ? metrics : [])))
        if (!known.has(key)) known.set(key, new Set((await api.history(runId, key)).map(nameOf)));
      return batch.flatMap(({ metrics }) => metrics.filter((metric) => known.get(metric.key)?.has(nameOf(metric)) !== true));
    },
    forget: () => known.clear(),
  };
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
