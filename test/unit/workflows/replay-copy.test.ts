/** `logs` of a job whose machine is gone, from what was kept here. */
import { expect, test } from 'vitest';
import { ownIdentity } from '../../../src/core/process-identity.ts';
import { follow } from '../../../src/workflows/follow.ts';
import type { FollowInput } from '../../../src/workflows/follow-input.ts';
import type { JobEvent } from '../../../src/workflows/job-event.ts';
import { JobCopy } from '../../../src/workflows/write-copy.ts';
import { jobEntry, machineEntry } from '../cli/entries.ts';
import { createFakeContext, type FakeContext } from './fake-context.ts';
import { endRecord, recordsAt, stateRecord } from './report-records.ts';

const text = (words: string) => new TextEncoder().encode(words);

/** `fill` writes the copy. */
function place({ context }: FakeContext, fill: (copy: JobCopy) => void): string {
  const { state: _, ref: __, holder: ___, ...intent } = machineEntry();
  context.ledger.open({ ...intent, provider: 'fake', holder: ownIdentity() });
  context.ledger.note(intent.id, { fact: 'gone', reason: 'down', leftovers: [] });
  const job = jobEntry({ code: 0 });
  context.ledger.putJob(job);
  const copy = new JobCopy(context.home.jobs, job.id);
  copy.writeRecords(recordsAt([0, stateRecord('running')], [9, endRecord()]));
  fill(copy);
  copy.close();
  return job.id;
}

async function show(fake: FakeContext, jobId: string, more: Partial<FollowInput>): Promise<JobEvent[]> {
  const events: JobEvent[] = [];
  await follow({ jobId, after: 0, tailLines: null, follow: false, ...more }, fake.context, (event) => void events.push(event));
  return events;
}

const logOf = (events: readonly JobEvent[], stream: 'out' | 'err' = 'out') =>
  Buffer.concat(events.flatMap((event) => (event.type === 'log' && (event.stream ?? 'out') === stream ? [event.bytes] : []))).toString();

test('times, and what began since then', async () => {
  using fake = createFakeContext(() => ({}));
  const id = place(fake, (copy) => {
    copy.writeLog('out', 0, text('one\ntwo\nthree\nfour\n'));
    copy.writeTimes('out', [
      [5, 1_000],
      [10, 2_000],
      [19, 3_000],
    ]);
  });
  const stamped = (await show(fake, id, { stamped: true })).flatMap((event) => (event.type === 'log' ? [[String(Buffer.from(event.bytes)), event.at]] : []));
  expect(stamped).toEqual([
    ['one\nt', 1_000],
    ['wo\nth', 2_000],
    ['ree\nfour\n', 3_000],
  ]);
  expect(logOf(await show(fake, id, { sinceMs: 1_500 }))).toBe('three\nfour\n');
  expect(logOf(await show(fake, id, { sinceMs: 1_500, tailLines: 1 }))).toBe('four\n');
  expect(logOf(await show(fake, id, { sinceMs: 0, tailLines: 3 }))).toBe('two\nthree\nfour\n');
  expect(logOf(await show(fake, id, { sinceMs: 3_001 }))).toBe('');
});

test('two streams, both or one of them', async () => {
  using fake = createFakeContext(() => ({}));
  const id = place(fake, (copy) => {
    copy.writeLog('out', 0, text('out 1\nout 2\n'));
    copy.writeLog('err', 0, text('err 1\nerr 2\n'));
  });
  const both = await show(fake, id, { tailLines: 1 });
  expect([logOf(both), logOf(both, 'err')]).toEqual(['out 2\n', 'err 2\n']);
  const err = await show(fake, id, { streams: 'err', after: 6 });
  expect([logOf(err), logOf(err, 'err')]).toEqual(['', 'err 2\n']);
  const out = await show(fake, id, { streams: 'out', after: -6 });
  expect([logOf(out), logOf(out, 'err')]).toEqual(['out 2\n', '']);
});

test('stderr alone, of a job that has it in one log with stdout', async () => {
  using fake = createFakeContext(() => ({}));
  const id = place(fake, (copy) => copy.writeLog('out', 0, text('both\n')));
  await expect(show(fake, id, { streams: 'err' })).rejects.toMatchObject({ code: 'bad-input', message: expect.stringContaining('one log') });
});

test('what the machine had given up is told in its place', async () => {
  using fake = createFakeContext(() => ({}));
  const id = place(fake, (copy) => {
    copy.writeLog('out', 0, text('begin\n'));
    copy.writeGap('out', { from: 6, to: 1_000_000 });
    copy.writeLog('out', 1_000_000, text('mid\nend\n'));
  });
  const told = (await show(fake, id, {})).flatMap((event) => {
    if (event.type === 'gap') return [`${event.from}-${event.to}`];
    return event.type === 'log' ? [String(Buffer.from(event.bytes))] : [];
  });
  expect(told).toEqual(['begin\n', '6-1000000', 'mid\nend\n']);
  expect(logOf(await show(fake, id, { tailLines: 2 }))).toBe('mid\nend\n');
});
