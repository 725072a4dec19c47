/** A job whose machine is taken back or vanishes goes on elsewhere: one log, one id, one bill, never two machines. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createFakeProvider, type FakeProvider } from '../../../src/testing/fake-provider.ts';
import type { RunContext } from '../../../src/workflows/context.ts';
import { follow } from '../../../src/workflows/follow.ts';
import { copiedRecords } from '../../../src/workflows/job-copy.ts';
import { reportCost } from '../../../src/workflows/report-cost.ts';
import { train } from '../../../src/workflows/train.ts';
import type { TrainInput } from '../../../src/workflows/train-input.ts';
import { type FakeMetadata, startMetadataServer } from '../../support/metadata-server.ts';
import { buildRunner, kill, pipeTransport, processesHolding, until } from '../../support/runner.ts';
import { createFakeContext, type FakeContext, fakeInput } from './fake-context.ts';

let folder: string;
let script: string;
let fake: FakeContext;
let provider: FakeProvider;
let context: RunContext;
let metadata: FakeMetadata;
let project: string;
let turning: NodeJS.Timeout;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-retry-'));
  script = buildRunner(folder);
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  await until(() => endAll(folder), 'the end of the runners');
});
afterEach(async () => {
  clearInterval(turning);
  fake[Symbol.dispose]();
  await metadata[Symbol.asyncDispose]();
});

/** Ends processes with this in their environment or arguments; true when none is left. */
function endAll(needle: string): boolean {
  const left = processesHolding(needle);
  for (const pid of left) kill(pid);
  return left.length === 0;
}

async function prepare(): Promise<void> {
  metadata = await startMetadataServer();
  fake = createFakeContext((clock) => {
    provider = createFakeProvider({ clock });
    return { fake: provider };
  });
  const home = mkdtempSync(join(folder, 'home-'));
  const env = { PATH: process.env['PATH'], HOME: home, METADATA_SERVER_DETECTION: 'none', GCE_METADATA_HOST: metadata.host };
  context = { ...fake.context, connect: () => pipeTransport(env), runner: { ...fake.context.runner, file: script, version: 'test-1' } };
  project = mkdtempSync(join(folder, 'project-'));
  // Pauses cost no time, and what is timed by the same clock sees little of it.
  turning = setInterval(() => void fake.clock.advance(200), 10);
}

function inputOf(command: string, more: Partial<TrainInput> = {}): TrainInput {
  return {
    up: { ...fakeInput, forOneJob: true },
    command: { kind: 'shell', text: command },
    setup: null,
    env: {},
    secrets: {},
    sync: { code: project, exclude: [], data: [] },
    outputs: [],
    folder: project,
    metrics: {},
    graceMs: 1,
    retry: { on: ['preempted', 'lost'], attempts: 3, resumeFrom: null },
    preemptSignal: null,
    detach: false,
    teardown: 'auto',
    keepOnFailure: false,
    ...more,
  };
}

/** Starts it, and does something to the machine each time that the job says that it is at work. */
async function trainThrough(input: TrainInput, troubles: readonly ((machineId: string) => void | Promise<void>)[]) {
  let log = '';
  const offsets: number[] = [];
  let met = 0;
  const result = train(input, context, async (event) => {
    if (event.type !== 'log') return;
    offsets.push(event.offset);
    expect(event.offset).toBe(Buffer.byteLength(log));
    log += Buffer.from(event.bytes).toString();
    const trouble = log.match(/at work/g)?.length === met + 1 ? troubles[met] : undefined;
    if (trouble === undefined) return;
    met += 1;
    await trouble(provider.machines.at(-1)?.ref.id ?? '');
  });
  const outcome = await result.then(
    (value) => ({ value, error: null }),
    (error: unknown) => ({ value: null, error }),
  );
  return { ...outcome, log: () => log };
}

/** Its machine is gone from one moment to the next. */
const vanish = (id: string) => {
  provider.takeBack(id);
  endAll(`/machines/${id}`);
};
/** With notice. It is over when the next attempt is announced. */
const takeBack = () => {
  metadata.set('instance/preempted', 'TRUE');
  void until(() => fake.reports.some((report) => 'text' in report && report.text.includes('attempt 2')), 'the pause', 20_000, 1).then(() =>
    metadata.set('instance/preempted', 'FALSE'),
  );
};
const works = 'echo "attempt $GPU_RUN_ATTEMPT of $GPU_RUN_JOB"; echo at work;';
const untilTaken = `${works} if [ "$GPU_RUN_ATTEMPT" -lt 3 ]; then sleep 60; fi; echo done`;

test('it vanishes twice, the third attempt ends: one id, one log, each machine gone before the next', async () => {
  await prepare();
  const { value, log } = await trainThrough(inputOf(untilTaken), [vanish, vanish]);
  const id = value?.job.id ?? '';
  expect(log()).toBe(`${[1, 2, 3].map((n) => `attempt ${n} of ${id}\nat work\n`).join('')}done\n`);
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
  expect(replayed).toBe(log());
  const { items } = reportCost({ by: 'job', since: null }, context);
  const spans = context.ledger.jobSpans();
  expect(new Set(spans.map(({ machineId }) => machineId)).size).toBe(3);
  expect(value?.cost.usd).toBeCloseTo(
    items.reduce((sum, { usd }) => sum + usd, 0),
    6,
  );
});

test('taken back with notice, each time: what the job saved is fetched; the attempts are used up, and it is preempted', async () => {
  await prepare();
  const saves = `trap 'mkdir -p out; echo "saved by $GPU_RUN_ATTEMPT" > out/last; exit 0' TERM; ${works} while :; do sleep 0.02; done`;
  const { value } = await trainThrough(inputOf(saves, { outputs: ['out/'], retry: { on: ['preempted'], attempts: 2, resumeFrom: null } }), [
    takeBack,
    takeBack,
  ]);
  expect(value?.job).toMatchObject({ attempts: 2, end: { reason: 'preempted' } });
  expect(value?.machineDown).toBe(true);
  expect(readFileSync(join(project, 'out/last'), 'utf8')).toBe('saved by 2\n');
  expect(fake.reports).toContainEqual(expect.objectContaining({ text: 'All 2 attempts are used up' }));
  expect(provider.machines).toHaveLength(2);
});

test.each([
  ['a command that fails', 'echo at work; exit 3', { on: ['preempted', 'lost'], attempts: 3, resumeFrom: null } as const, [], 3],
  ['a reason that was not named', `${works} sleep 60`, { on: ['preempted'], attempts: 3, resumeFrom: null } as const, [vanish], null],
])('is not started again: %s', async (_what, command, retry, troubles, code) => {
  await prepare();
  const { value, error } = await trainThrough(inputOf(command, { retry }), troubles);
  if (code === null) expect(error).toMatchObject({ code: 'lost' });
  else expect(value?.job.end).toMatchObject({ code });
  expect(provider.machines).toHaveLength(1);
});

test('nor is one whose machine somebody ended', async () => {
  await prepare();
  const { error } = await trainThrough(inputOf(untilTaken), [
    async (id) => {
      context.ledger.note(id, { fact: 'ending', reason: 'down' });
      vanish(id);
    },
  ]);
  expect(error).toMatchObject({ code: 'lost' });
  expect(provider.machines).toHaveLength(1);
});

test('the time and the money of the run hold for all its attempts', async () => {
  await prepare();
  const up = { ...fakeInput, forOneJob: true, maxTimeSeconds: 3600, budgetUsd: 0.9 };
  const { value } = await trainThrough(inputOf(untilTaken, { up }), [vanish, vanish]);
  expect(value?.job.end).toMatchObject({ code: 0 });
  const entries = provider.machines.map(({ ref }) => context.ledger.get(ref.id));
  const [first, ...later] = entries;
  for (const entry of later) expect(entry?.deadline).toBeLessThanOrEqual(first?.deadline ?? 0);
  expect(entries.map((entry) => (entry?.spentBeforeUsd ?? 0) > 0)).toEqual([false, true, true]);
});

test('the budget is used up between two attempts: nothing more is ordered', async () => {
  await prepare();
  const up = { ...fakeInput, forOneJob: true, budgetUsd: 0.5 };
  const { error } = await trainThrough(inputOf(untilTaken, { up }), [
    async (id) => {
      clearInterval(turning);
      await fake.clock.jump(28 * 60_000 + 59_000);
      turning = setInterval(() => void fake.clock.advance(200), 10);
      vanish(id);
    },
  ]);
  expect(error).toMatchObject({ code: 'budget' });
  expect(provider.machines).toHaveLength(1);
});

test('Ctrl-C in the pause between two attempts: nothing is left up, nothing more is ordered', async () => {
  await prepare();
  const { error } = await trainThrough(inputOf(untilTaken), [
    (id) => {
      vanish(id);
      void until(() => fake.reports.some((report) => 'text' in report && report.text.includes('attempt 2 of 3')), 'the pause', 20_000, 1).then(() =>
        fake.abort.abort(),
      );
    },
  ]);
  expect(error).toMatchObject({ name: 'AbortError' });
  expect(provider.machines).toHaveLength(1);
  expect(context.ledger.list({ live: true })).toEqual([]);
});

test('--detach says at once that nobody will be there', async () => {
  await prepare();
  mkdirSync(join(project, 'x'));
  writeFileSync(join(project, 'x/y'), '');
  const { value } = await trainThrough(inputOf('true', { detach: true }), []);
  expect(value?.job.attempts).toBe(1);
  expect(fake.reports).toContainEqual(expect.objectContaining({ level: 'warn', text: expect.stringContaining('--detach') }));
});
