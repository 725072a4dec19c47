/** What `status --refresh` takes from a machine's list of its jobs, also where that lacks one. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { status } from '../../../src/workflows/status.ts';
import { createInstantMachine, type InstantMachine } from './instant-machine.ts';

let cats: InstantMachine;
beforeEach(async () => {
  cats = await createInstantMachine();
});
afterEach(() => cats[Symbol.dispose]());

const known = (id: string) => cats.context.ledger.getJob(id);
const unknown = () => Promise.reject(Object.assign(new Error('There is no such job on this machine.'), { code: 'not-found' }));

/** What it warns of. */
async function refresh(): Promise<readonly string[]> {
  const from = cats.fake.reports.length;
  await cats.whileTimePasses(() => status({ refresh: true, all: false }, cats.context));
  return cats.fake.reports.slice(from).flatMap((report) => (report.type === 'note' && report.level === 'warn' ? [report.text] : []));
}

test('a job that ran, of which its machine knows nothing any more, is lost, and nobody is warned of it for ever', async () => {
  cats.put('job-1', { startedAt: 1 });
  cats.answer = async (op) => (op === 'jobs' ? { jobs: [] } : await unknown());
  expect(await refresh()).toEqual([]);
  expect(known('job-1')).toMatchObject({ state: 'ended', end: { reason: 'lost', detail: 'its machine knows nothing of it any more' } });
});

test('a job that the list lacks, and the machine knows when it is asked for it: that is said, and it goes on', async () => {
  cats.put('job-1', { startedAt: 1 });
  cats.answer = (op) => (op === 'jobs' ? { jobs: [] } : { logBytes: 0, records: 0 });
  expect(await refresh()).toEqual([`'cats' could not be refreshed: The runner's list of jobs lacks job-1, which it has run.`]);
  expect(known('job-1')).toMatchObject({ state: 'running' });
});

test('a job that comes while the machine is asked is not among what it says, however long that takes, and goes on', async () => {
  cats.answer = async () => {
    const asOf = cats.fake.clock.now();
    cats.put('job-1', { state: 'queued', startedAt: null, asOf });
    cats.put('job-2', { startedAt: asOf, arrived: true, asOf });
    await cats.fake.clock.advance(60_000);
    return { jobs: [] };
  };
  expect(await refresh()).toEqual([]);
  expect([known('job-1'), known('job-2')]).toMatchObject([{ state: 'queued' }, { state: 'running' }]);
});
