/** Metrics for MLflow, against a server that answers as the documentation of its REST API says. */
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkTrackingUri, readMlflow } from '../../../src/config/mlflow.ts';
import type { JobEntry, JobRecord } from '../../../src/core/job.ts';
import { createFakeProvider } from '../../../src/testing/fake-provider.ts';
import { sendMetrics } from '../../../src/workflows/mlflow-send.ts';
import { wandbEnv } from '../../../src/workflows/wandb-env.ts';
import { type MlflowServer, startMlflow } from '../../support/mlflow-server.ts';
import { createFakeContext, type FakeContext } from './fake-context.ts';

const job = {
  id: 'job-1',
  machineName: 'cats',
  command: 'python3 train.py',
  user: 'ada',
  branch: 'main',
  commit: null,
  createdAt: 1_000,
  state: 'running',
} as unknown as JobEntry;

let fake: FakeContext;
let server: MlflowServer;
let folder: string;
beforeEach(async () => {
  fake = createFakeContext((clock) => ({ fake: createFakeProvider({ clock }) }));
  server = await startMlflow('Bearer abc');
  folder = join(fake.context.home.jobs, job.id);
  mkdirSync(folder, { recursive: true });
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  fake[Symbol.dispose]();
});

const contextOf = (authorization: string | null = 'Bearer abc') => ({
  ...fake.context,
  mlflow: { trackingUri: server.uri, experiment: 'pets', authorization },
});
const send = (context = contextOf()) => sendMetrics(job, context);
const notes = () => fake.reports.flatMap((report) => (report.type === 'note' ? [report.text] : []));

let written = 0;
beforeEach(() => {
  written = 0;
});
type Body = JobRecord extends infer R ? (R extends JobRecord ? Omit<R, 'n' | 't'> : never) : never;
function write(...records: readonly Body[]) {
  for (const record of records) {
    written += 1;
    appendFileSync(join(folder, 'journal.jsonl'), `${JSON.stringify({ n: written, t: 5_000 + written, ...record })}\n`);
  }
}
const metric = (step: number | null, values: Record<string, number>): Body => ({ type: 'metric', values, step, epoch: null, source: 'json', at: 0 });
const ended = (code: number, reason = 'exit') => ({ type: 'state', state: 'ended', logOffset: 0, end: { code, signal: null, reason, detail: null } }) as Body;
const steps = (run = 'run1') => server.runs.get(run)?.metrics.map(({ key, step }) => `${key} ${step}`);

describe('metrics', () => {
  test('go into one run of the experiment, which ends as the job does', async () => {
    write({ type: 'state', state: 'running', logOffset: 0 }, metric(1, { loss: 0.5, 'Acc@1': 0.25 }), metric(2.5, { loss: 0.25 }), metric(null, { final: 1 }));
    const sending = send();
    write(ended(0));
    await sending[Symbol.asyncDispose]();
    expect([...server.experiments]).toEqual([['pets', '1']]);
    expect([...server.runs.values()]).toEqual([
      {
        experimentId: '1',
        name: 'job-1',
        tags: {
          'gpu-run.job': 'job-1',
          'gpu-run.machine': 'cats',
          'gpu-run.command': 'python3 train.py',
          'mlflow.user': 'ada',
          'mlflow.source.git.branch': 'main',
        },
        metrics: [
          { key: 'loss', value: 0.5, timestamp: 5_002, step: 1 },
          { key: 'Acc_1', value: 0.25, timestamp: 5_002, step: 1 },
          { key: 'loss', value: 0.25, timestamp: 5_003, step: 2 },
          { key: 'final', value: 1, timestamp: 5_004, step: 2 },
        ],
        status: 'FINISHED',
        endTime: 5_005,
      },
    ]);
    expect(notes()).toEqual([]);
  });

  test.each([
    [1, 'exit', 'FAILED'],
    [143, 'cancelled', 'KILLED'],
    [137, 'preempted', 'KILLED'],
  ])('of a job that ended with %d (%s): %s; a next attempt goes on in the same run', async (code, reason, status) => {
    write(metric(1, { loss: 1 }), ended(code, reason));
    await send()[Symbol.asyncDispose]();
    expect(server.runs.get('run1')).toMatchObject({ status, endTime: 5_002 });
    write({ type: 'state', state: 'running', logOffset: 0 }, metric(2, { loss: 0.5 }));
    await send()[Symbol.asyncDispose]();
    expect(server.runs.size).toBe(1);
    expect(server.runs.get('run1')).toMatchObject({ status: 'RUNNING', endTime: null });
    expect(steps()).toEqual(['loss 1', 'loss 2']);
  });

  test('of thousands of records come in calls that the API takes', async () => {
    write(...Array.from({ length: 1_100 }, (_, step) => metric(step, { a: step, b: -step })));
    await send()[Symbol.asyncDispose]();
    expect(server.runs.get('run1')?.metrics).toHaveLength(2_200);
    expect(new Set(steps()).size).toBe(2_200);
  });

  test('come while the job runs', async () => {
    const sending = send();
    write(metric(1, { loss: 1 }));
    while (server.runs.get('run1')?.metrics.length !== 1) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      fake.clock.advance(2_000);
    }
    await sending[Symbol.asyncDispose]();
  });

  test('whose call was lost on its way back are there once', async () => {
    write(...Array.from({ length: 8 }, (_, step) => metric(step, { loss: step / 3, lr: 0.1 })));
    let lost = 0;
    server.fault = (path) => (path === 'runs/log-batch' && lost++ === 0 ? 'lose' : null);
    await send()[Symbol.asyncDispose]();
    expect(steps()).toHaveLength(16);
    write(metric(8, { loss: 9 }));
    await send()[Symbol.asyncDispose](); // by a later gpu-run
    expect(steps()?.filter((step) => step.startsWith('loss'))).toEqual(Array.from({ length: 9 }, (_, step) => `loss ${step}`));
    expect(new Set(steps()).size).toBe(17);
    expect(server.runs.size).toBe(1);
  });

  test('a run whose creation was never heard of is found again', async () => {
    write(metric(1, { loss: 1 }));
    server.fault = (path) => (path === 'runs/create' ? 'lose' : null);
    await send()[Symbol.asyncDispose]();
    server.fault = () => null;
    await send()[Symbol.asyncDispose]();
    expect(server.runs.size).toBe(1);
    expect(steps()).toEqual(['loss 1']);
  });

  test('are there once, also when what was noted of them is lost', async () => {
    write(metric(1, { loss: 1 }), metric(2, { loss: 2 }));
    await send()[Symbol.asyncDispose]();
    rmSync(join(folder, 'mlflow.json'));
    write(metric(3, { loss: 3 }));
    await send()[Symbol.asyncDispose]();
    expect(server.runs.size).toBe(1);
    expect(steps()).toEqual(['loss 1', 'loss 2', 'loss 3']);
  });

  test('with names and steps that MLflow does not take keep no other ones back', async () => {
    write(...['loss/', '/loss', 'train//loss', './loss', '..', '.', '', '..loss'].map((name, at) => metric(at, { [name]: 1 })), metric(1e300, { lr: 1 }));
    await send()[Symbol.asyncDispose]();
    expect(steps()).toEqual(['loss 0', 'loss 1', 'train/loss 2', 'loss 3', '_ 4', '_ 5', '_ 6', '__loss 7', 'lr 7']);
    expect(notes()).toEqual([]);
  });

  test('wait for a server that is down: one warning, and all is sent later', async () => {
    write(metric(1, { loss: 1 }));
    server.fault = () => 'fail';
    const sending = send();
    while (server.calls.length < 3) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      fake.clock.advance(60_000);
    }
    expect(notes()).toEqual([
      `The metrics of job-1 could not be sent to MLflow at ${server.uri}: experiments/get-by-name answered 503. It is tried again; the job goes on.`,
    ]);
    server.fault = () => null;
    await sending[Symbol.asyncDispose]();
    expect(steps()).toEqual(['loss 1']);
    expect(notes()).toHaveLength(1);
  });

  test('of which a server that was down takes none: the user hears that, too', async () => {
    write(metric(1, { loss: 1 }));
    let calls = 0;
    server.fault = () => (calls++ === 0 ? 'fail' : 'refuse');
    const sending = send();
    while (notes().length < 2) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      fake.clock.advance(60_000);
    }
    await sending[Symbol.asyncDispose]();
    expect(notes()).toEqual([expect.stringContaining('It is tried again'), expect.stringContaining('They are not sent')]);
    server.fault = () => 'fail';
    await send()[Symbol.asyncDispose]();
    expect(notes().at(-1)).toContain('gpu-run logs job-1 --follow sends what is left');
  });

  test('are given up with one warning when the server refuses them; the secret is in none of it', async () => {
    write(metric(1, { loss: 1 }));
    await send(contextOf('Bearer wrong-secret'))[Symbol.asyncDispose]();
    expect(notes()).toEqual([
      `The metrics of job-1 could not be sent to MLflow at ${server.uri}: experiments/get-by-name answered 401. They are not sent; the job goes on.`,
    ]);
    expect(server.calls).toHaveLength(1);
    server.fault = (path) => (path === 'runs/log-batch' ? 'refuse' : null);
    await send()[Symbol.asyncDispose]();
    expect(notes()[1]).toContain('runs/log-batch answered 403 PERMISSION_DENIED: Permission denied');
    expect(readFileSync(join(folder, 'mlflow.json'), 'utf8')).not.toContain('abc');
  });

  test('are not tried again at a port that Node never calls; the warning says so in words', async () => {
    write(metric(1, { loss: 1 }));
    const target = { trackingUri: 'http://127.0.0.1:9', experiment: 'cats', authorization: null };
    await sendMetrics(job, { ...contextOf(null), mlflow: target })[Symbol.asyncDispose]();
    expect(notes()).toEqual([
      expect.stringContaining('127.0.0.1:9: that port is one of other protocols, which Node calls no web server at. They are not sent'),
    ]);
  });

  test('are sent by one process at a time; one that has died holds up nobody', async () => {
    write(metric(1, { loss: 1 }));
    const first = send();
    await send()[Symbol.asyncDispose]();
    expect(existsSync(join(folder, 'mlflow.lock'))).toBe(true);
    await first[Symbol.asyncDispose]();
    expect(steps()).toEqual(['loss 1']);
    writeFileSync(join(folder, 'mlflow.lock'), JSON.stringify({ pid: 999_999_999, started: 'x:1' }));
    write(metric(2, { loss: 1 }));
    await send()[Symbol.asyncDispose]();
    expect(steps()).toEqual(['loss 1', 'loss 2']);
    expect(readdirSync(folder).filter((name) => name.includes('lock'))).toEqual([]);
  });

  test('that the server refuses take no others along, and a run that refuses everything is given up', async () => {
    write(...Array.from({ length: 30 }, (_, step) => metric(step, { loss: step, ...(step === 7 ? { odd: 1 } : {}) })), ended(0));
    server.badNames.add('odd');
    await send()[Symbol.asyncDispose]();
    expect(steps()).toEqual(Array.from({ length: 30 }, (_, step) => `loss ${step}`));
    expect(server.runs.get('run1')?.status).toBe('FINISHED');
    expect(notes()).toEqual([`MLflow at ${server.uri} refuses some metrics of job-1: they are left out there, and are in its metrics.jsonl.`]);
    server.badNames.add('loss');
    write(...Array.from({ length: 200 }, (_, step) => metric(step, { loss: step })));
    await send()[Symbol.asyncDispose]();
    expect(notes()[1]).toContain('They are not sent');
    expect(server.calls.length).toBeLessThan(100);
  });

  test('go nowhere where no server is named', async () => {
    write(metric(1, { loss: 1 }));
    await sendMetrics(job, fake.context)[Symbol.asyncDispose]();
    expect(existsSync(join(folder, 'mlflow.json'))).toBe(false);
  });
});

describe('the settings', () => {
  test('come from the config, then from the variables of MLflow itself', () => {
    expect(readMlflow(null, { MLFLOW_TRACKING_URI: 'http://h:1' })).toBeNull();
    expect(readMlflow({}, { MLFLOW_TRACKING_URI: 'https://h/base/', MLFLOW_TRACKING_TOKEN: 't' })).toEqual({
      trackingUri: 'https://h/base',
      experiment: 'Default',
      authorization: 'Bearer t',
    });
    const env = {
      MLFLOW_TRACKING_URI: 'http://other',
      MLFLOW_TRACKING_USERNAME: 'ada',
      MLFLOW_TRACKING_PASSWORD: 'p',
      MLFLOW_EXPERIMENT_NAME: 'e',
      MLFLOW_TRACKING_TOKEN: '',
    };
    expect(readMlflow({ trackingUri: 'http://h:5000', experiment: undefined }, env)).toEqual({
      trackingUri: 'http://h:5000',
      experiment: 'e',
      authorization: `Basic ${Buffer.from('ada:p').toString('base64')}`,
    });
    expect(() => readMlflow({}, {})).toThrow('nothing says where the tracking server is');
  });

  test.each(['file:///tmp/x', 'databricks', 'sqlite:///x.db'])('%s is no address', (text) => {
    expect(() => checkTrackingUri(text)).toThrow('is not the address of an MLflow server');
  });

  test('an address with a password is refused without repeating it', () => {
    expect(() => checkTrackingUri('http://ada:geheim@h:5000')).toThrow(expect.objectContaining({ message: expect.not.stringContaining('geheim') }));
    expect(() => checkTrackingUri('ftp://ada:geheim@h:5000')).toThrow(expect.objectContaining({ message: expect.not.stringContaining('geheim') }));
  });
});

describe('W&B', () => {
  const retry = { on: ['lost'], attempts: 3, resumeFrom: null } as const;
  test('goes on in the same run when a job may be started again', () => {
    expect(wandbEnv('job-1', { env: {}, secrets: { WANDB_API_KEY: 'k' }, retry })).toEqual({ WANDB_RUN_ID: 'job-1', WANDB_RESUME: 'allow' });
    expect(wandbEnv('job-1', { env: { WANDB_PROJECT: 'p' }, secrets: {}, retry })).toEqual({ WANDB_RUN_ID: 'job-1', WANDB_RESUME: 'allow' });
  });

  test.each([
    ['nobody asked for W&B', { A: 'b' }, 3],
    ['it can’t be started again', { WANDB_API_KEY: 'k' }, 1],
    ['the run has a name already', { WANDB_API_KEY: 'k', WANDB_RUN_ID: 'mine' }, 3],
    ['it was decided already', { WANDB_API_KEY: 'k', WANDB_RESUME: 'never' }, 3],
  ])('is left alone when %s', (_why, secrets, attempts) => {
    expect(wandbEnv('job-1', { env: {}, secrets: secrets as unknown as Record<string, string>, retry: { ...retry, attempts } })).toEqual({});
  });
});
