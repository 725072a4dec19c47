/** Where a report gets its records: from the machine while it lives, else from the copy on this computer. */
import { expect, test } from 'vitest';
import type { JobRecord } from '../../../src/core/job.ts';
import { ownIdentity } from '../../../src/core/process-identity.ts';
import { report } from '../../../src/workflows/report.ts';
import { JobCopy } from '../../../src/workflows/write-copy.ts';
import { jobEntry, machineEntry } from '../cli/entries.ts';
import { createFakeContext, type FakeContext } from './fake-context.ts';
import { endRecord, gpuSpan, recordsAt, spanRecord, stateRecord } from './report-records.ts';

const whole = recordsAt([0, stateRecord('running')], [100, spanRecord(0, 100, [gpuSpan({ 90: 100 })])], [101, endRecord()]);

function place({ context }: FakeContext, { records, ended }: { records: readonly JobRecord[]; ended: boolean }): string {
  const { state: _, ref: __, holder: ___, ...intent } = machineEntry({ deadline: context.clock.now() + 3_600_000 });
  context.ledger.open({ ...intent, provider: 'fake', holder: ownIdentity() });
  context.ledger.note(intent.id, { fact: 'ready', access: { kind: 'own', host: '127.0.0.1', port: 9, user: 'x', hostKeys: [] } });
  const job = jobEntry(ended ? {} : null);
  context.ledger.putJob(job);
  if (records.length > 0) {
    const copy = new JobCopy(context.home.jobs, job.id);
    copy.writeRecords(records);
    copy.close();
  }
  return job.id;
}

test('whole records are enough: the machine is not asked', async () => {
  using fake = createFakeContext(() => ({}));
  const id = place(fake, { records: whole, ended: true });
  const { gpus, job } = await report(id, fake.context);
  expect(gpus).toMatchObject([{ samples: 100 }]);
  expect(job.state).toBe('ended');
  expect(fake.reports).toEqual([]);
});

test('a machine that does not answer: what is here, and a word on what is not', async () => {
  using fake = createFakeContext(() => ({}));
  const id = place(fake, { records: whole.slice(0, 2), ended: false });
  const { gpus } = await report(id, fake.context);
  expect(gpus).toMatchObject([{ samples: 100 }]);
  expect(fake.reports).toMatchObject([
    { type: 'note', level: 'warn', text: expect.stringMatching(/could not be fetched, this is from what is here: No route/) },
  ]);
});

test('nothing here and the machine gone, and no such job', async () => {
  using fake = createFakeContext(() => ({}));
  const id = place(fake, { records: [], ended: true });
  fake.context.ledger.note('cats-k3v9xq', { fact: 'gone', reason: 'deleted', leftovers: [] });
  await expect(report(id, fake.context)).rejects.toMatchObject({ code: 'lost' });
  await expect(report('job-20261121-nobody', fake.context)).rejects.toMatchObject({ code: 'not-found' });
});
