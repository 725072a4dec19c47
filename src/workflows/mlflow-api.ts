/** The calls of MLflow's REST API that are needed to log a run (mlflow.org/docs/latest/rest-api.html), version 2.0 of its paths. */
import type { MlflowTarget } from '../config/mlflow.ts';
import { GpuRunError } from '../core/errors.ts';

export interface MlflowMetric {
  readonly key: string;
  readonly value: number;
  /** Milliseconds since the epoch. */
  readonly timestamp: number;
  readonly step: number;
}

export type RunStatus = 'RUNNING' | 'FINISHED' | 'FAILED' | 'KILLED';

/** All @throws GpuRunError; `retry` is `same` where a later call may work. */
export interface MlflowApi {
  /** Makes it if there is none. */
  experiment(name: string): Promise<string>;
  /** The run that carries this tag; null: none does. */
  findRun(experimentId: string, tag: string, value: string): Promise<string | null>;
  createRun(experimentId: string, name: string, startTime: number, tags: Readonly<Record<string, string>>): Promise<string>;
  /** At most `mostMetrics` of them. What fails may have been written in part. */
  logBatch(runId: string, metrics: readonly MlflowMetric[]): Promise<void>;
  history(runId: string, key: string): Promise<readonly MlflowMetric[]>;
  /** `endTime` in milliseconds since the epoch; null: it goes on. */
  setStatus(runId: string, status: RunStatus, endTime: number | null): Promise<void>;
}

/** A batch may hold no more: the API's own limit. */
export const mostMetrics = 1_000;

const answerWithinMs = 15_000;
const longestAnswer = 300;

export function openMlflow(target: MlflowTarget, signal: AbortSignal): MlflowApi {
  const call = async (method: 'GET' | 'POST', path: string, fields: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>> => {
    const query = method === 'GET' ? `?${new URLSearchParams(fields as Record<string, string>)}` : '';
    const response = await answered(`${target.trackingUri}/api/2.0/mlflow/${path}${query}`, {
      method,
      headers: { 'content-type': 'application/json', ...(target.authorization === null ? {} : { authorization: target.authorization }) },
      redirect: 'error', // the credentials are for this address alone
      signal: AbortSignal.any([signal, AbortSignal.timeout(answerWithinMs)]),
      ...(method === 'POST' ? { body: JSON.stringify(fields) } : {}),
    });
    if (response.ok) return (await parsed(response)) ?? refused(path, response.status, null);
    return refused(path, response.status, await parsed(response));
  };
  return {
    async experiment(name) {
      const byName = async () => textIn((await call('GET', 'experiments/get-by-name', { experiment_name: name }))['experiment'], 'experiment_id');
      try {
        return await byName();
      } catch (error) {
        if (!says(error, 'RESOURCE_DOES_NOT_EXIST')) throw error;
      }
      try {
        return textIn(await call('POST', 'experiments/create', { name }), 'experiment_id');
      } catch (error) {
        if (!says(error, 'RESOURCE_ALREADY_EXISTS')) throw error;
        return await byName(); // somebody else was faster
      }
    },
    async findRun(experimentId, tag, value) {
      const filter = `tags.\`${tag}\` = '${value}'`;
      const { runs } = await call('POST', 'runs/search', { experiment_ids: [experimentId], filter, max_results: 1 });
      return Array.isArray(runs) && runs.length > 0 ? textIn((runs[0] as { info?: unknown }).info, 'run_id') : null;
    },
    async createRun(experimentId, name, startTime, tags) {
      const pairs = Object.entries(tags).map(([key, value]) => ({ key, value }));
      const { run } = await call('POST', 'runs/create', { experiment_id: experimentId, run_name: name, start_time: startTime, tags: pairs });
      return textIn((run as { info?: unknown } | undefined)?.info, 'run_id');
    },
    logBatch: async (runId, metrics) => void (await call('POST', 'runs/log-batch', { run_id: runId, metrics })),
    async history(runId, key) {
      const all: MlflowMetric[] = [];
      for (let token: unknown = ''; typeof token === 'string'; ) {
        const page = await call('GET', 'metrics/get-history', { run_id: runId, metric_key: key, ...(token === '' ? {} : { page_token: token }) });
        for (const metric of Array.isArray(page['metrics']) ? page['metrics'] : []) {
          all.push({ key, value: Number(metric.value), timestamp: Number(metric.timestamp), step: Number(metric.step ?? 0) });
        }
        token = page['next_page_token'] === '' ? null : page['next_page_token'];
      }
      return all;
    },
    setStatus: async (runId, status, endTime) =>
      void (await call('POST', 'runs/update', { run_id: runId, status, ...(endTime === null ? {} : { end_time: endTime }) })),
  };
}

async function answered(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    // The Fetch standard's "bad port" (fetch.spec.whatwg.org, port blocking): no server can be called there.
    if (cause instanceof Error && cause.message === 'bad port') {
      throw new GpuRunError('bad-input', 'that port is one of other protocols, which Node calls no web server at', { cause: error });
    }
    throw new GpuRunError('connection', cause instanceof Error ? cause.message : String(cause), { retry: 'same', cause: error });
  }
}

async function parsed(response: Response): Promise<Record<string, unknown> | null> {
  try {
    const value: unknown = await response.json();
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function refused(path: string, status: number, answer: Record<string, unknown> | null): never {
  const code = typeof answer?.['error_code'] === 'string' ? answer['error_code'] : '';
  const text = typeof answer?.['message'] === 'string' ? `: ${answer['message'].slice(0, longestAnswer)}` : '';
  const later = status === 429 || status >= 500;
  const kind = status === 401 || status === 403 ? 'not-allowed' : later ? 'connection' : 'bad-input';
  throw new GpuRunError(kind, `${path} answered ${status}${code === '' ? '' : ` ${code}`}${text}`, { retry: later ? 'same' : 'never' });
}

function says(error: unknown, code: string): boolean {
  return error instanceof GpuRunError && error.message.includes(` ${code}`);
}

function textIn(value: unknown, field: string): string {
  const found = (value as Record<string, unknown> | undefined)?.[field];
  if (typeof found === 'string' && found !== '') return found;
  throw new GpuRunError('protocol', `an answer has no ${field}: this is no MLflow server, or one of another kind`);
}
