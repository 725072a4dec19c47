/** An MLflow tracking server's REST API as its documentation has it, in memory: append-only metrics, limits, error codes. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface LoggedMetric {
  readonly key: string;
  readonly value: number;
  readonly timestamp: number;
  readonly step: number;
}

export interface LoggedRun {
  readonly experimentId: string;
  readonly name: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly metrics: LoggedMetric[];
  status: string;
  endTime: number | null;
}

type Fault = 'fail' | 'lose' | 'refuse' | null;

export interface MlflowServer extends AsyncDisposable {
  readonly uri: string;
  readonly experiments: Map<string, string>;
  readonly runs: Map<string, LoggedRun>;
  readonly calls: string[];
  /** Called with each path: `fail` answers 503 and does nothing, `lose` does it and cuts the connection before the answer, `refuse` answers 403. */
  fault: (path: string) => Fault | Promise<Fault>;
  /** Names of metrics that it refuses, with the whole call. */
  readonly badNames: Set<string>;
}

class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** `authorization`: what every call must carry. */
export async function startMlflow(authorization: string | null = null): Promise<MlflowServer> {
  const experiments = new Map<string, string>();
  const runs = new Map<string, LoggedRun>();
  const calls: string[] = [];
  const badNames = new Set<string>();

  const runOf = (id: unknown): LoggedRun => {
    const run = runs.get(String(id));
    if (run === undefined) throw new ApiError(404, 'RESOURCE_DOES_NOT_EXIST', `Run with id=${id} not found`);
    return run;
  };
  const endpoints: Record<string, (fields: any) => object> = {
    'GET experiments/get-by-name': ({ experiment_name: name }) => {
      const id = experiments.get(name);
      if (id === undefined) throw new ApiError(404, 'RESOURCE_DOES_NOT_EXIST', `Could not find experiment with name ${name}`);
      return { experiment: { experiment_id: id, name, lifecycle_stage: 'active' } };
    },
    'POST experiments/create': ({ name }) => {
      if (experiments.has(name)) throw new ApiError(400, 'RESOURCE_ALREADY_EXISTS', `Experiment(name=${name}) already exists.`);
      experiments.set(name, String(experiments.size + 1));
      return { experiment_id: experiments.get(name) };
    },
    'POST runs/search': ({ experiment_ids: ids, filter }) => {
      const [, key = '', value = ''] = /^tags\.`([^`]+)` = '([^']+)'$/.exec(filter) ?? [];
      const found = [...runs].filter(([, run]) => ids.includes(run.experimentId) && run.tags[key] === value);
      return found.length === 0 ? {} : { runs: found.map(([id]) => ({ info: { run_id: id }, data: {} })) };
    },
    'POST runs/create': ({ experiment_id: experimentId, run_name: name, tags }) => {
      const id = `run${runs.size + 1}`;
      const pairs = Object.fromEntries(tags.map((tag: { key: string; value: string }) => [tag.key, tag.value]));
      runs.set(id, { experimentId, name, tags: pairs, metrics: [], status: 'RUNNING', endTime: null });
      return { run: { info: { run_id: id, status: 'RUNNING' }, data: {} } };
    },
    'POST runs/log-batch': ({ run_id: id, metrics }) => {
      if (metrics.length > 1000)
        throw new ApiError(400, 'INVALID_PARAMETER_VALUE', `A batch logging request can contain at most 1000 metrics. Got ${metrics.length} metrics.`);
      for (const { key, step, timestamp } of metrics) {
        if (
          !/^[\w\-. /]{1,250}$/.test(key) ||
          key.startsWith('..') ||
          badNames.has(key) ||
          key.split('/').some((part: string) => ['', '.', '..'].includes(part))
        )
          throw new ApiError(400, 'INVALID_PARAMETER_VALUE', `Invalid metric name: '${key}'`);
        if (!Number.isSafeInteger(step) || !Number.isInteger(timestamp)) throw new ApiError(400, 'INVALID_PARAMETER_VALUE', 'Not an integer');
      }
      runOf(id).metrics.push(...metrics);
      return {};
    },
    'GET metrics/get-history': ({ run_id: id, metric_key: key, page_token: token }) => {
      const all = runOf(id).metrics.filter((metric) => metric.key === key);
      const from = Number(token ?? 0);
      return { metrics: all.slice(from, from + 3), ...(from + 3 < all.length ? { next_page_token: String(from + 3) } : {}) };
    },
    'POST runs/update': ({ run_id: id, status, end_time: endTime }) => {
      Object.assign(runOf(id), { status, endTime: endTime ?? null });
      return { run_info: { run_id: id, status } };
    },
  };

  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? '', 'http://x');
    const path = url.pathname.replace('/api/2.0/mlflow/', '');
    calls.push(path);
    const fault = await server.fault(path);
    const answer = (status: number, value: object) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    if (authorization !== null && request.headers.authorization !== authorization) return answer(401, {});
    if (fault === 'fail') return answer(503, {});
    if (fault === 'refuse') return answer(403, { error_code: 'PERMISSION_DENIED', message: 'Permission denied' });
    const body: Buffer[] = [];
    for await (const part of request) body.push(part as Buffer);
    try {
      const endpoint = endpoints[`${request.method} ${path}`];
      if (endpoint === undefined) throw new ApiError(404, 'ENDPOINT_NOT_FOUND', path);
      const done = endpoint(request.method === 'GET' ? Object.fromEntries(url.searchParams) : JSON.parse(Buffer.concat(body).toString()));
      if (fault === 'lose') return request.socket.destroy();
      return answer(200, done);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return answer(error.status, { error_code: error.code, message: error.message });
    }
  };
  const http = createServer((request, response) => void handle(request, response));
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const server: MlflowServer = {
    uri: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    experiments,
    runs,
    calls,
    badNames,
    fault: () => null,
    [Symbol.asyncDispose]: async () => {
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
  return server;
}
