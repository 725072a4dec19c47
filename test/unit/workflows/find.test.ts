import { expect, test } from 'vitest';
import { findJob, findMachine } from '../../../src/workflows/find.ts';
import { jobEntry, machineEntry } from '../cli/entries.ts';
import { createFakeContext } from './fake-context.ts';

test('a job is found by the last part of its id, where no other one has it', () => {
  const jobs = ['job-20261121-k3v9xq', 'job-20261121-aaaaaa', 'job-20261122-aaaaaa'].map((id) => jobEntry(null, { id }));
  const ledger = { getJob: (id: string) => jobs.find((job) => job.id === id) ?? null, listJobs: () => jobs };
  const find = (jobId: string) => findJob({ jobId, machineName: '', unfinished: false }, { ledger } as never).id;
  expect(find('k3v9xq')).toBe('job-20261121-k3v9xq');
  expect(find('job-20261122-aaaaaa')).toBe('job-20261122-aaaaaa');
  for (const typed of ['aaaaaa', '3v9xq', '']) expect(() => find(typed)).toThrow(`There is no job '${typed}'.`);
});

test('a machine that is not up any more: why, and what is left of it', () => {
  using fake = createFakeContext(() => ({}));
  const { ledger } = fake.context;
  const refusal = (name: string) => {
    try {
      return findMachine(name, fake.context);
    } catch (error) {
      return error;
    }
  };
  expect(refusal('cats')).toMatchObject({
    code: 'not-found',
    message: "No machine named 'cats' is up.",
    hints: ['gpu-run up cats   makes it', expect.any(String)],
  });
  const { state: _, ref: __, holder: ___, ...intent } = machineEntry();
  for (const [id, name, reason] of [
    ['cats-1', 'cats', 'job-20261121-k3v9xq ended'],
    ['cats-2', 'cats', 'Interrupted.'],
    ['cats-3', 'cats', 'down'],
    ['dogs-1', 'dogs', null],
  ] as const) {
    ledger.open({ ...intent, id, name, provider: 'fake', holder: fake.context.self });
    if (reason !== null) ledger.note(id, { fact: 'gone', reason, leftovers: [] });
    const gone = reason === 'down' ? '`gpu-run down` has ended it' : reason?.replace('.', '');
    if (reason !== null) expect(refusal('cats')).toMatchObject({ code: 'not-found', message: `'cats' is not up any more: ${gone}.` });
    fake.clock.advance(1_000);
  }
  ledger.putJob(jobEntry({}, { machineId: 'cats-3' }));
  const hints = ['These are up: dogs.', 'gpu-run up cats   makes a new one', 'gpu-run report job-20261121-k3v9xq   shows how its last job used it'];
  expect(refusal('cats')).toMatchObject({ hints });
});

test('a machine that was never made was never up, and hides none that was', () => {
  using fake = createFakeContext(() => ({}));
  const { ledger } = fake.context;
  const { state: _, ref: __, holder: ___, ...intent } = machineEntry();
  const open = (id: string, name: string) => ledger.open({ ...intent, id, name, provider: 'fake', holder: fake.context.self });
  open('owls-1', 'owls');
  ledger.note('owls-1', { fact: 'never-made', reason: 'no L4 in us-central1-a', code: 'no-capacity' });
  expect(() => findMachine('owls', fake.context)).toThrow("No machine named 'owls' is up.");
  open('cats-1', 'cats');
  ledger.note('cats-1', { fact: 'gone', reason: 'job-20261121-k3v9xq ended', leftovers: [] });
  fake.clock.advance(1_000);
  open('cats-2', 'cats');
  ledger.note('cats-2', { fact: 'never-made', reason: 'no L4 in us-central1-a', code: 'no-capacity' });
  expect(() => findMachine('cats', fake.context)).toThrow("'cats' is not up any more: job-20261121-k3v9xq ended.");
});
