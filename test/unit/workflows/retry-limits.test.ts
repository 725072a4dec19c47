/** What is not started again, what holds for all attempts of a job together, and where each goes on. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Report } from '../../../src/core/reporter.ts';
import { cancel } from '../../../src/workflows/cancel.ts';
import { train } from '../../../src/workflows/train.ts';
import { until } from '../../support/runner.ts';
import { fakeInput } from './fake-context.ts';
import { takenMachines, untilTaken, works } from './taken-machines.ts';

const prepare = takenMachines();

test('taken back with notice, each time: what the job saved is fetched; the attempts are used up, and it is preempted', async () => {
  const { fake, inputOf, project, provider, takeBack, trainThrough } = await prepare();
  const saves = `trap 'mkdir -p out; echo "saved by $GPU_RUN_ATTEMPT" > out/last; exit 0' TERM; ${works} while :; do sleep 0.02; done`;
  const { value } = await trainThrough(inputOf(saves, { outputs: ['out/'], retry: { on: ['preempted'], attempts: 2, resumeFrom: null } }), [
    takeBack,
    takeBack,
  ]);
  expect(value?.job).toMatchObject({ attempts: 2, end: { reason: 'preempted' } });
  expect(value?.machineDown).toBe(true);
  expect(readFileSync(join(project, 'out/last'), 'utf8')).toBe('saved by 2\n');
  expect(fake.reports).toContainEqual(expect.objectContaining({ text: 'That was attempt 2 of 2: the job is not started again' }));
  expect(provider.machines).toHaveLength(2);
});

test.each([
  ['a command that fails', 'echo at work; exit 3', { on: ['preempted', 'lost'], attempts: 3, resumeFrom: null } as const, 0, 3],
  ['a reason that was not named', `${works} sleep 60`, { on: ['preempted'], attempts: 3, resumeFrom: null } as const, 1, null],
])('is not started again: %s', async (_what, command, retry, times, code) => {
  const { inputOf, provider, trainThrough, vanish } = await prepare();
  const { value, error } = await trainThrough(inputOf(command, { retry }), Array(times).fill(vanish));
  if (code === null) expect(error).toMatchObject({ code: 'lost' });
  else expect(value?.job.end).toMatchObject({ code });
  expect(provider.machines).toHaveLength(1);
});

test('nor is one whose machine somebody ended', async () => {
  const { context, inputOf, provider, trainThrough, vanish } = await prepare();
  const { error } = await trainThrough(inputOf(untilTaken), [
    async (id) => {
      context.ledger.note(id, { fact: 'ending', reason: 'down' });
      await vanish(id);
    },
  ]);
  expect(error).toMatchObject({ code: 'lost' });
  expect(provider.machines).toHaveLength(1);
});

test('the time and the money of the run hold for all its attempts', async () => {
  const { context, inputOf, provider, trainThrough, vanish } = await prepare();
  const up = { ...fakeInput, forOneJob: true, maxTimeSeconds: 3600, budgetUsd: 0.9 };
  const { value } = await trainThrough(inputOf(untilTaken, { up }), [vanish, vanish]);
  expect(value?.job.end).toMatchObject({ code: 0 });
  const entries = provider.machines.map(({ ref }) => context.ledger.get(ref.id));
  const [first, ...later] = entries;
  for (const entry of later) expect(entry?.deadline).toBeLessThanOrEqual(first?.deadline ?? 0);
  expect(entries.map((entry) => (entry?.spentBeforeUsd ?? 0) > 0)).toEqual([false, true, true]);
});

test('the budget is used up between two attempts: nothing more is ordered', async () => {
  const { fake, inputOf, provider, trainThrough, turn, vanish } = await prepare();
  const up = { ...fakeInput, forOneJob: true, budgetUsd: 0.5 };
  const { error } = await trainThrough(inputOf(untilTaken, { up }), [
    async (id) => {
      turn(false);
      await fake.clock.jump(28 * 60_000 + 59_000);
      turn(true);
      await vanish(id);
    },
  ]);
  expect(error).toMatchObject({ code: 'budget' });
  expect(provider.machines).toHaveLength(1);
});

test('cancel in the pause between two attempts: there is no next one', async () => {
  const { context, fake, inputOf, provider, trainThrough, vanish } = await prepare();
  const { error } = await trainThrough(inputOf(untilTaken), [
    (machineId) => {
      const [job] = context.ledger.listJobs({ machineId });
      void until(() => context.ledger.getJob(job?.id ?? '')?.again, 'the pause', 20_000, 1).then(async () => {
        expect((await cancel({ jobId: job?.id ?? '', graceMs: null }, context)).end).toMatchObject({ reason: 'cancelled' });
      });
      return vanish(machineId);
    },
  ]);
  expect(error).toMatchObject({ code: 'interrupted', message: expect.stringContaining('between two attempts') });
  expect(provider.machines).toHaveLength(1);
  expect(context.ledger.list({ live: true })).toEqual([]);
  expect(fake.context.ledger.listJobs()[0]?.again).toBeUndefined();
});

test('cancel of a job whose machine is vanishing, which its train does not know yet: there is no next attempt', async () => {
  const { context, inputOf, provider, trainThrough, vanish } = await prepare();
  let cancelled: Promise<unknown> | null = null;
  const { error } = await trainThrough(inputOf(untilTaken), [
    (machineId) => {
      void vanish(machineId);
      cancelled = cancel({ jobId: context.ledger.listJobs()[0]?.id ?? '', graceMs: null }, context);
    },
  ]);
  expect(await cancelled).toMatchObject({ end: { reason: 'cancelled' } });
  expect(error).toMatchObject({ code: 'interrupted' });
  expect(provider.machines).toHaveLength(1);
});

test('a machine that vanishes while its job is being cancelled, and saves: there is no next attempt', async () => {
  const { context, inputOf, provider, trainThrough, vanish } = await prepare();
  let cancelled: Promise<unknown> | null = null;
  const { error } = await trainThrough(inputOf(`trap 'sleep 30' TERM; ${works} sleep 60 & wait; sleep 60`, { graceMs: 60_000 }), [
    (machineId) => {
      const jobId = context.ledger.listJobs()[0]?.id ?? '';
      cancelled = cancel({ jobId, graceMs: null }, context);
      void until(() => context.ledger.getJob(jobId)?.state === 'cancelling', 'the signal').then(() => vanish(machineId));
    },
  ]);
  expect(await cancelled).toMatchObject({ end: { reason: 'cancelled' } });
  expect(error).toMatchObject({ code: 'interrupted' });
  expect(provider.machines).toHaveLength(1);
});

test('cancelled between two attempts, with --keep: what was rented for the next one goes', async () => {
  const { context, inputOf, provider, vanish } = await prepare();
  const input = inputOf(`${works} sleep 60`, { teardown: 'keep' });
  const report = (what: Report) => {
    const [job] = context.ledger.listJobs();
    if (!('text' in what) || !what.text.startsWith("'cats' is ready") || job?.again !== true) return;
    void cancel({ jobId: job.id, graceMs: null }, context);
  };
  let isGone = false; // its log may come in pieces
  const training = train(input, { ...context, reporter: { report } }, (event) => {
    if (event.type !== 'log' || isGone) return;
    isGone = true;
    return vanish(provider.machines[0]?.ref.id ?? '');
  });
  await expect(training).rejects.toMatchObject({ code: 'interrupted' });
  expect(provider.machines).toHaveLength(2);
  expect(context.ledger.list({ live: true })).toEqual([]);
});

test('--detach says at once that nobody will be there', async () => {
  const { fake, inputOf, trainThrough } = await prepare();
  const { value } = await trainThrough(inputOf('true', { detach: true }), []);
  expect(value?.job.attempts).toBe(1);
  expect(fake.reports).toContainEqual(expect.objectContaining({ level: 'warn', text: expect.stringContaining('--detach') }));
});

test('Ctrl-C in the pause between two attempts: nothing is left up, nothing more is ordered', async () => {
  const { context, fake, inputOf, provider, trainThrough, vanish } = await prepare();
  const { error } = await trainThrough(inputOf(untilTaken), [
    async (id) => {
      await vanish(id);
      void until(() => fake.reports.some((report) => 'text' in report && report.text.includes('attempt 2 of 3')), 'the pause', 20_000, 1).then(() =>
        fake.abort.abort(),
      );
    },
  ]);
  expect(error).toMatchObject({ name: 'AbortError' });
  expect(provider.machines).toHaveLength(1);
  expect(context.ledger.list({ live: true })).toEqual([]);
});

test('without notice: what it saved is here by then; it goes on from there, elsewhere, and the user has the last one', async () => {
  const { context, inputOf, project, trainThrough, vanish } = await prepare();
  const saved = (id: string): string | null => {
    const folder = join(context.home.jobs, id, 'checkpoints');
    const newest = existsSync(folder) ? readdirSync(folder).find((name) => /^\d+$/.test(name)) : undefined;
    return newest === undefined ? null : readFileSync(join(folder, newest, 'out/checkpoints/last'), 'utf8');
  };
  const saves = 'mkdir -p "$GPU_RUN_CHECKPOINT_DIR"; echo "of attempt $GPU_RUN_ATTEMPT" > "$GPU_RUN_CHECKPOINT_DIR/last"';
  const resumes = '[ -z "$GPU_RUN_RESUME_FROM" ] || cat "$GPU_RUN_RESUME_FROM/last";';
  const lose = (n: number) => (machineId: string) => {
    const [job] = context.ledger.listJobs({ machineId });
    // Beside the job's events, which wait for whoever gets them.
    void until(() => saved(job?.id ?? '') === `of attempt ${n}\n`, 'the checkpoint').finally(() => vanish(machineId));
  };
  const input = inputOf(`${works} ${resumes} ${saves}; if [ "$GPU_RUN_ATTEMPT" -lt 3 ]; then sleep 60; fi`, { outputs: ['out/'] });
  const { value, log, error } = await trainThrough(input, [lose(1), lose(2)]);
  expect(error).toBeNull();
  expect(log.split('\n').filter((line) => line.startsWith('of'))).toEqual(['of attempt 1', 'of attempt 2']);
  expect(readFileSync(join(project, 'out/checkpoints/last'), 'utf8')).toBe('of attempt 3\n');
  expect(saved(value?.job.id ?? '')).toBeNull(); // it is done: nothing is kept twice
});
