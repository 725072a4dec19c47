/** Metrics of attempts whose machine is gone, from the records that are here. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { GpuRunError } from '../../../src/core/errors.ts';
import type { JobEnd, JobEntry, JobRecord } from '../../../src/core/job.ts';
import { createFakeProvider } from '../../../src/testing/fake-provider.ts';
import { layMetrics } from '../../../src/workflows/lay-metrics.ts';
import { JobCopy } from '../../../src/workflows/write-copy.ts';
import { someIntent } from '../../contract/ledger-intent.ts';
import { jobEntry } from '../cli/entries.ts';
import { createFakeContext, type FakeContext } from './fake-context.ts';

const id = 'job-20261121-aaaaaa';
let fake: FakeContext;
let folder: string;
beforeEach(() => {
  fake = createFakeContext((clock) => ({ fake: createFakeProvider({ clock, id: 'fake' }) }));
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-lay-'));
  const { ledger, clock } = fake.context;
  ledger.open({ ...someIntent('cats-1', 'cats'), provider: 'fake', deadline: clock.now() + 3_600_000, forOneJob: true });
});
afterEach(() => {
  fake[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

const metric = (n: number, step: number): JobRecord => ({
  n,
  t: 1_700_000_000_000 + n,
  type: 'metric',
  values: { loss: 1 / step },
  step,
  epoch: null,
  source: 'json',
  at: n,
});

/** Two attempts with two metrics each, of which the second has ended so. */
function twoAttempts(changes: Partial<JobEntry>): JobEntry {
  const copy = new JobCopy(fake.context.home.jobs, id);
  copy.writeRecords([metric(1, 1), metric(2, 2), metric(3, 3), metric(4, 4)]);
  copy.close();
  const past = { machineId: 'cats-0', end: null, startedAt: 1, endedAt: 2, logBytes: 0, errBytes: 0, records: 2 };
  const job = jobEntry({ code: null, reason: 'lost' }, { id, machineId: 'cats-1', attempts: 2, earlier: [past], ...changes });
  fake.context.ledger.putJob(job);
  return job;
}

const gone = () => fake.context.ledger.note('cats-1', { fact: 'gone', reason: 'it ended by itself', at: fake.clock.now(), leftovers: [] });
const lay = (job: JobEntry, failure: GpuRunError | null = null) => layMetrics({ job, failure }, { outputs: ['runs/'], folder }, fake.context);
const steps = (file: string) =>
  readFileSync(join(folder, 'runs/gpu-run', id, file), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).step);
const told = () => fake.reports.flatMap((report) => ('text' in report ? [report.text] : []));

test('those of the last attempt lie beside those of the others, where its machine is gone, and their place is said', async () => {
  const job = twoAttempts({});
  gone();
  const laid = await lay(job);
  expect([steps('metrics.jsonl'), steps('metrics.2.jsonl')]).toEqual([
    [1, 2],
    [3, 4],
  ]);
  expect(laid.map(({ path }) => path).toSorted()).toEqual(readdirSync(join(folder, 'runs/gpu-run', id)).map((name) => `runs/gpu-run/${id}/${name}`));
  expect(laid).toHaveLength(4);
  expect(told()).toEqual([`Metrics of ${id}, as far as they came before its machine was gone, are in ${join(folder, 'runs/gpu-run', id)}`]);
});

test('so do those of the only one', async () => {
  const job = twoAttempts({ attempts: 1, earlier: [] });
  gone();
  await lay(job);
  expect(steps('metrics.jsonl')).toEqual([1, 2, 3, 4]);
});

test.each<readonly [string, Partial<JobEntry>]>([
  ['goes on', { state: 'running', end: null }],
  ['has ended on a machine that stays', {}],
])('an attempt that %s has its files there', async (_what, changes) => {
  await lay(twoAttempts(changes));
  expect(readdirSync(join(folder, 'runs/gpu-run', id)).filter((name) => /2\.jsonl|run\.2$/.test(name))).toEqual([]);
  expect(told()).toEqual([]);
});

test.each<JobEnd['reason']>(['exit', 'cancelled'])(
  'one that ended by itself (%s) leaves nothing that it did not make, whatever became of its machine since',
  async (reason) => {
    const job = twoAttempts({ attempts: 1, earlier: [], end: { code: 3, signal: null, reason, detail: null } });
    gone();
    expect(await lay(job)).toEqual([]);
    expect([existsSync(join(folder, 'runs')), told()]).toEqual([false, []]);
  },
);

test('unless its machine went before its outputs were here', async () => {
  const job = twoAttempts({ attempts: 1, earlier: [], end: { code: 0, signal: null, reason: 'exit', detail: null } });
  gone();
  await lay(job, new GpuRunError('lost', 'The machine has gone.'));
  expect(steps('metrics.jsonl')).toEqual([1, 2, 3, 4]);
});

test('what was pulled of the last attempt stays as it is', async () => {
  const job = twoAttempts({});
  gone();
  mkdirSync(join(folder, 'runs/gpu-run', id), { recursive: true });
  writeFileSync(join(folder, 'runs/gpu-run', id, 'metrics.2.jsonl'), 'pulled');
  const laid = await lay(job);
  expect(laid.map(({ path }) => path.split('/').at(-1))).toContain('metrics.jsonl');
  expect(readFileSync(join(folder, 'runs/gpu-run', id, 'metrics.2.jsonl'), 'utf8')).toBe('pulled');
  expect([laid.length, told()]).toEqual([2, []]);
});
