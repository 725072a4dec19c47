/** `logs` of a job whose machine is gone, from what was kept here. */
import { expect, test } from 'vitest';
import { ownIdentity } from '../../../src/core/process-identity.ts';
import { follow } from '../../../src/workflows/follow.ts';
import type { FollowInput } from '../../../src/workflows/follow-input.ts';
import type { JobEvent } from '../../../src/workflows/job-event.ts';
import { showCopy } from '../../../src/workflows/replay-copy.ts';
import { JobCopy } from '../../../src/workflows/write-copy.ts';
import { jobEntry, machineEntry } from '../cli/entries.ts';
import { createFakeContext, type FakeContext } from './fake-context.ts';
import { endRecord, recordsAt, stateRecord } from './report-records.ts';

const text = (words: string) => new TextEncoder().encode(words);

/** `fill` writes the copy. */
function place({ context }: FakeContext, fill: (copy: JobCopy) => void, records = recordsAt([0, stateRecord('running')], [9, endRecord()])): string {
  const { state: _, ref: __, holder: ___, ...intent } = machineEntry();
  context.ledger.open({ ...intent, provider: 'fake', holder: ownIdentity() });
  context.ledger.note(intent.id, { fact: 'gone', reason: 'down', leftovers: [] });
  const job = jobEntry({ code: 0 });
  context.ledger.putJob(job);
  const copy = new JobCopy(context.home.jobs, job.id);
  copy.writeRecords(records);
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

/** Of three attempts; the second wrote nothing. */
function placeAttempts(fake: FakeContext, split: boolean): string {
  const at = (out: number, err: number) => ({ logOffset: out, ...(split ? { errOffset: err } : {}) });
  return place(
    fake,
    (copy) => {
      copy.writeLog('out', 0, text('setup 1\nwork 1, cutwork 3\n'));
      if (split) copy.writeLog('err', 0, text('err 1\nerr 3\n'));
      copy.writeTimes('out', [[23, 5_000]]);
    },
    recordsAt(
      [0, { ...stateRecord('queued'), ...at(0, 0) }],
      [1, { ...stateRecord('setup'), ...at(0, 0) }],
      [2, { ...stateRecord('running'), ...at(8, 0) }],
      [3, { ...stateRecord('queued'), ...at(19, 6) }],
      [4, { ...endRecord(1), ...at(19, 6) }],
      [5, { ...stateRecord('queued'), ...at(19, 6) }],
      [6, { ...stateRecord('running'), ...at(19, 6) }],
      [9, { ...endRecord(), ...at(26, 12) }],
    ),
  );
}

test('each attempt shows its log behind the one before, and its states where they began', async () => {
  for (const split of [false, true]) {
    using fake = createFakeContext(() => ({}));
    const id = placeAttempts(fake, split);
    const told = async (more: Partial<FollowInput>) =>
      (await show(fake, id, more)).flatMap((event) => {
        if (event.type === 'state') return [event.state];
        return event.type === 'log' ? [`${event.stream} ${event.offset} ${Buffer.from(event.bytes)}`] : [];
      });
    const all = [
      ...['queued', 'setup', 'out 0 setup 1\n', 'running', 'out 8 work 1, cut', ...(split ? ['err 0 err 1\n'] : [])],
      ...['queued', 'queued', 'running', 'out 19 work 3\n', ...(split ? ['err 6 err 3\n'] : []), 'ended'],
    ];
    expect(await told({})).toEqual(all);
    expect(await told({ streams: 'out', after: 10 })).toEqual([
      'queued',
      'setup',
      'running',
      'out 10 rk 1, cut',
      'queued',
      'queued',
      'running',
      'out 19 work 3\n',
      'ended',
    ]);
    expect(await told({ streams: 'out', after: 20 })).toEqual(['queued', 'setup', 'running', 'queued', 'queued', 'running', 'out 20 ork 3\n', 'ended']);
    const stamped = (await show(fake, id, { streams: 'out', stamped: true })).flatMap((event) => (event.type === 'log' ? [event.at] : []));
    expect(stamped).toEqual([5_000, 5_000, 5_000, null]);
  }
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

test('records that come while it is shown are left to whoever goes on behind the last one that was known', async () => {
  using fake = createFakeContext(() => ({}));
  const metric = (step: number) => ({ type: 'metric', values: { loss: 1 }, step, epoch: null, source: 'json', at: 0 }) as const;
  const records = recordsAt([0, stateRecord('running')], [1, metric(1)], [2, metric(2)], [3, metric(3)]);
  const id = place(fake, () => {}, records.slice(0, 3));
  const steps: (number | null)[] = [];
  const input = { jobId: id, after: 0, tailLines: null, follow: true };
  const onEvent = (event: JobEvent) => {
    if (event.type !== 'metric') return;
    steps.push(event.step);
    const other = new JobCopy(fake.context.home.jobs, id);
    other.writeRecords(records.slice(3));
    other.close();
  };
  await showCopy(id, input, fake.context, onEvent, { lastRecord: 3 });
  expect(steps).toEqual([1, 2]);
  await showCopy(id, input, fake.context, onEvent);
  expect(steps).toEqual([1, 2, 1, 2, 3]);
});
