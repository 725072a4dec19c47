import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { follow } from '../../../src/workflows/follow.ts';
import { copiedRecords } from '../../../src/workflows/job-copy.ts';
import { reportCost } from '../../../src/workflows/report-cost.ts';
import { takenMachines, untilTaken, works } from './taken-machines.ts';

const prepare = takenMachines();

test('it vanishes twice, the third attempt ends: one id, one log, each machine gone before the next', async () => {
  const { context, inputOf, provider, trainThrough, vanish } = await prepare();
  const { value, log, error } = await trainThrough(inputOf(untilTaken), [vanish, vanish]);
  expect(error).toBeNull();
  const id = value?.job.id ?? '';
  expect(log).toBe(`${[1, 2, 3].map((n) => `attempt ${n} of ${id}\nat work\n`).join('')}done\n`);
  expect(value?.job).toMatchObject({ attempts: 3, state: 'ended', end: { code: 0, reason: 'exit' } });
  expect(provider.machines).toHaveLength(3);
  expect(provider.machines.every(({ goneAt }) => goneAt !== null)).toBe(true);
  for (const [index, { launchedAt }] of provider.machines.entries()) {
    if (index > 0) expect(launchedAt).toBeGreaterThanOrEqual(provider.machines[index - 1]?.goneAt ?? Number.POSITIVE_INFINITY);
  }
  expect(value?.job.earlier?.map(({ end }) => end?.reason)).toEqual(['lost', 'lost']);
  const records = [...copiedRecords(context.home.jobs, id)];
  expect(records.map(({ n }) => n)).toEqual(records.map((_, index) => index + 1));
  expect(records.filter((record) => record.type === 'state' && record.state === 'running')).toHaveLength(3);
  // Afterwards `logs` has all of it, and `cost` all the machines.
  let replayed = '';
  await follow({ jobId: id, after: 0, tailLines: null, follow: false }, context, (event) => {
    if (event.type === 'log') replayed += Buffer.from(event.bytes).toString();
  });
  expect(replayed).toBe(log);
  const { items } = reportCost({ by: 'job', since: null }, context);
  const spans = context.ledger.jobSpans();
  expect(new Set(spans.map(({ machineId }) => machineId)).size).toBe(3);
  expect(value?.cost.usd).toBeCloseTo(
    items.reduce((sum, { usd }) => sum + usd, 0),
    6,
  );
});

test('metrics of an attempt whose machine was lost lie beside those of the last one', async () => {
  const { inputOf, project, trainThrough, vanish } = await prepare();
  const prints = `mkdir -p runs; echo "{\\"step\\": $GPU_RUN_ATTEMPT, \\"loss\\": 0.5}"; sleep 0.5; ${works}`;
  const input = inputOf(`${prints} if [ "$GPU_RUN_ATTEMPT" -lt 2 ]; then sleep 60; fi`, { outputs: ['runs/'] });
  const { value, error } = await trainThrough(input, [vanish]);
  expect(error).toBeNull();
  const folder = join(project, 'runs/gpu-run', value?.job.id ?? '');
  expect(readdirSync(folder).map((name) => name.replace(/\d{10}/, 'T'))).toEqual([
    'events.out.tfevents.T.gpu-run.1',
    'events.out.tfevents.T.gpu-run.2',
    'metrics.2.jsonl',
    'metrics.jsonl',
  ]);
  expect(JSON.parse(readFileSync(join(folder, 'metrics.jsonl'), 'utf8'))).toMatchObject({ step: 1, loss: 0.5 });
  expect(value?.outputs.map(({ path }) => path.split('/').at(-1)).toSorted()).toEqual(readdirSync(folder));
  const [first, second] = readdirSync(folder).map((name) => readFileSync(join(folder, name)));
  expect(first?.length).toBe(second?.length);
});

test('outputs that could not be fetched are awaited by nobody any more, though whoever tried lives on', async () => {
  const { context, inputOf, project, trainThrough } = await prepare();
  const retry = { on: [], attempts: 1, resumeFrom: null };
  const { error } = await trainThrough(inputOf('mkdir out; echo 1 > out/last; echo at work', { outputs: ['out/'], retry }), [
    () => {
      rmSync(project, { recursive: true });
      writeFileSync(project, 'no folder any more');
    },
  ]);
  expect(error).toMatchObject({ message: expect.stringContaining('could not be pulled') });
  expect(context.ledger.listJobs()).toMatchObject([{ state: 'ended', end: { code: 0 }, awaitedBy: null }]);
});
