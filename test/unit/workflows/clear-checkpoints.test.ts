/** Which of the checkpoints on this computer are cleared away by themselves. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { JobEntry } from '../../../src/core/job.ts';
import { createFakeProvider } from '../../../src/testing/fake-provider.ts';
import { clearOldCheckpoints, renewCheckpoints } from '../../../src/workflows/clear-checkpoints.ts';
import { someIntent } from '../../contract/ledger-intent.ts';
import { createFakeContext, type FakeContext } from './fake-context.ts';

const days = 86_400_000;
let fake: FakeContext;
beforeEach(() => {
  fake = createFakeContext((clock) => ({ fake: createFakeProvider({ clock }) }));
});
afterEach(() => fake[Symbol.dispose]());

/** With a checkpoint that came so long ago; `entry`: as the ledger has it, if it knows it. */
function addJob(id: string, ageMs: number, entry: Partial<JobEntry> | null = { state: 'ended' }): void {
  const { context, clock } = fake;
  const folder = join(context.home.jobs, id, 'checkpoints');
  mkdirSync(join(folder, '3'), { recursive: true });
  writeFileSync(join(context.home.jobs, id, 'log'), 'log');
  const at = new Date(clock.now() - ageMs);
  utimesSync(folder, at, at);
  if (entry === null) return;
  const plain = { id, machineId: 'm-1', machineName: 'cats', command: 'true', end: null, attempts: 1, createdAt: 0, startedAt: 0, endedAt: 0, asOf: 0 };
  context.ledger.putJob({ ...plain, user: 'me', branch: null, state: 'ended', ...entry });
}

const has = (id: string) => existsSync(join(fake.context.home.jobs, id, 'checkpoints'));

test('those of a job that ended a month ago; its log, and what has not ended, stay', () => {
  fake.context.ledger.open(someIntent('m-1', 'cats'));
  addJob('job-old', 31 * days);
  addJob('job-unknown', 31 * days, null);
  addJob('job-young', 29 * days);
  addJob('job-late', 31 * days, { endedAt: fake.clock.now() - days });
  addJob('job-runs', 31 * days, { state: 'running', endedAt: null });
  addJob('job-again', 29 * days, { again: true, endedAt: fake.clock.now() - 29 * days });
  addJob('job-died', 31 * days, { again: true }); // so did whoever was about to start it again
  addJob('job-wanted', 31 * days);
  clearOldCheckpoints(fake.context, join(fake.context.home.jobs, 'job-wanted', 'checkpoints', '3'));
  expect(has('job-wanted')).toBe(true);
  expect(['old', 'unknown', 'young', 'late', 'runs', 'again', 'died'].filter((name) => has(`job-${name}`))).toEqual(['young', 'late', 'runs', 'again']);
  expect(existsSync(join(fake.context.home.jobs, 'job-old', 'log'))).toBe(true);
  expect(fake.reports).toEqual([{ type: 'note', level: 'info', text: 'Cleared away old checkpoints of 3 jobs on this computer' }]);
});

test('of many jobs all but the ten newest, unless they are of today', () => {
  for (let n = 0; n < 14; n++) addJob(`job-${n}`, (n + 2) * days);
  clearOldCheckpoints(fake.context);
  expect(Array.from({ length: 14 }, (_, n) => n).filter((n) => has(`job-${n}`))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  for (let n = 20; n < 34; n++) addJob(`job-${n}`, 1_000 * n);
  clearOldCheckpoints(fake.context);
  expect(Array.from({ length: 34 }, (_, n) => n).filter((n) => has(`job-${n}`))).toEqual(Array.from({ length: 14 }, (_, n) => n + 20));
});

test('of many jobs one that is about to be started again stays', () => {
  for (let n = 0; n < 12; n++) addJob(`job-${n}`, (n + 2) * days);
  addJob('job-again', 20 * days, { again: true });
  clearOldCheckpoints(fake.context);
  expect(Array.from({ length: 12 }, (_, n) => n).filter((n) => has(`job-${n}`))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(has('job-again')).toBe(true);
});

test('what another process is about to start from stays', () => {
  for (let n = 0; n < 14; n++) addJob(`job-${n}`, (n + 20) * days);
  renewCheckpoints(fake.context, join(fake.context.home.jobs, 'job-13', 'checkpoints/3'));
  renewCheckpoints(fake.context, join(fake.context.home.jobs, 'job-12')); // all of it
  renewCheckpoints(fake.context, join(fake.context.home.jobs, 'job-none'));
  clearOldCheckpoints(fake.context);
  expect(Array.from({ length: 14 }, (_, n) => n).filter((n) => has(`job-${n}`))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 12, 13]);
});

test.each(['a link to the checkpoints', 'a state folder behind a link'])('%s: what the job is to start from stays', (how) => {
  const real = mkdtempSync(join(tmpdir(), 'gpu-run-linked-'));
  const link = `${real}-link`;
  symlinkSync(real, link);
  try {
    const isHome = how.startsWith('a state');
    using linked = createFakeContext((clock) => ({ fake: createFakeProvider({ clock }) }), isHome ? link : real);
    const folder = join(linked.context.home.jobs, 'job-old', 'checkpoints');
    mkdirSync(join(folder, '3/out'), { recursive: true });
    const at = new Date(linked.clock.now() - 31 * days);
    utimesSync(folder, at, at);
    // A process that was started in the folder knows its real path alone.
    clearOldCheckpoints(linked.context, join(isHome ? real : link, 'jobs/job-old/checkpoints/3/out'));
    expect(existsSync(join(folder, '3/out'))).toBe(true);
  } finally {
    for (const path of [link, real]) rmSync(path, { recursive: true, force: true });
  }
});
