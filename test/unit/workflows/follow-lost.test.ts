/** `logs --follow` of an attempt whose machine is lost: the same end for whoever follows it by then, and for whoever comes later. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { GpuRunError } from '../../../src/core/errors.ts';
import type { JobEntry } from '../../../src/core/job.ts';
import type { JobRecord } from '../../../src/protocol/job.ts';
import { follow } from '../../../src/workflows/follow.ts';
import type { FollowInput } from '../../../src/workflows/follow-input.ts';
import { copiedBytes } from '../../../src/workflows/job-copy.ts';
import type { JobEvent } from '../../../src/workflows/job-event.ts';
import { openCopy } from '../../../src/workflows/open-copy.ts';
import { until } from '../../support/runner.ts';
import { createInstantMachine, type InstantMachine } from './instant-machine.ts';

let cats: InstantMachine;
beforeEach(async () => {
  cats = await createInstantMachine();
});
afterEach(() => cats[Symbol.dispose]());

const running: JobRecord = { type: 'state', n: 1, t: 5, state: 'running', logOffset: 0 };

/** Shows `one`, and is gone. */
function vanishAfterOne(whenGone = async () => {}): void {
  cats.put('job-1');
  cats.answer = async (_op, _params, call) => {
    await call.event({ type: 'records', records: [running] });
    await call.block(0, Buffer.from('one\n'));
    await whenGone();
    cats.provider.takeBack(cats.machine.id);
    cats.connect = () => Promise.reject(new GpuRunError('connection', 'Nobody answers.', { retry: 'same' }));
    throw Object.assign(new Error('It broke.'), { code: 'connection' });
  };
}

interface Seen {
  readonly job: JobEntry;
  readonly log: string;
  readonly metrics: number;
  readonly states: readonly string[];
}

async function show(more: Partial<FollowInput> = {}): Promise<Seen> {
  const events: JobEvent[] = [];
  const input = { jobId: 'job-1', after: 0, tailLines: null, follow: true, ...more };
  const job = await cats.whileTimePasses(() => follow(input, cats.context, (event) => void events.push(event)));
  const log = events.map((event) => (event.type === 'log' ? Buffer.from(event.bytes).toString() : '')).join('');
  const metrics = events.filter(({ type }) => type === 'metric').length;
  return { job, log, metrics, states: events.flatMap((event) => (event.type === 'state' ? [event.state] : [])) };
}

test('lost under whoever follows it, or before: it has ended, nothing failed, and why is said', async () => {
  vanishAfterOne();
  const seen = await show();
  expect(seen).toMatchObject({ job: { state: 'ended', end: { reason: 'lost' } }, log: 'one\n', states: ['running', 'ended'] });
  expect(cats.fake.reports).toContainEqual({ type: 'note', level: 'warn', text: expect.stringContaining("The machine 'cats' no longer exists") });
  expect(await show()).toEqual(seen);
});

test('what somebody else has heard of its log is shown; of its next attempt nothing', async () => {
  vanishAfterOne(async () => {
    await until(() => copiedBytes(cats.context.home.jobs, 'job-1', 'out') === 4, 'the first line', 5_000, 1);
    const copy = openCopy('job-1', cats.context);
    copy.keep((files) => files.writeLog('out', 4, Buffer.from('two\nnext\n')));
    copy.close();
  });
  cats.provider.takeBack = (
    (takeBack) =>
    (id: string, ...more) => {
      takeBack(id, ...more);
      const end = { code: null, signal: null, reason: 'lost', detail: 'it burned' } as const;
      const past = { machineId: id, end, startedAt: 1, endedAt: 2, logBytes: 8, errBytes: 0, records: 1 };
      cats.put('job-1', { attempts: 2, machineId: 'other', earlier: [past] });
    }
  )(cats.provider.takeBack);
  expect(await show()).toMatchObject({ job: { attempts: 1, state: 'ended', end: { detail: 'it burned' } }, log: 'one\ntwo\n' });
});

test('it did its work, and its train took the machine down before all was shown: no warning, and what was told meanwhile comes too', async () => {
  const metric: JobRecord = { type: 'metric', n: 2, t: 6, at: 4, values: { loss: 1 }, step: 1, epoch: null, source: 'json' };
  vanishAfterOne(async () => {
    await until(() => copiedBytes(cats.context.home.jobs, 'job-1', 'out') === 4, 'the first line', 5_000, 1);
    const copy = openCopy('job-1', cats.context);
    copy.keep((files) => files.writeLog('out', 4, Buffer.from('two\n')));
    copy.keep((files) => files.writeRecords([metric]));
    copy.close();
    cats.put('job-1', { state: 'ended', end: { code: 0, signal: null, reason: 'exit', detail: null }, endedAt: 9 });
  });
  const seen = await show();
  expect(seen).toMatchObject({ job: { end: { code: 0 } }, log: 'one\ntwo\n', metrics: 1, states: ['running', 'ended'] });
  expect(cats.fake.reports.filter((report) => report.type === 'note')).toEqual([]);
  expect(await show()).toEqual(seen);
});

test('in the second attempt: what the first has written and told comes once', async () => {
  const earlier = [{ machineId: 'other', end: null, startedAt: 1, endedAt: 2, logBytes: 4, errBytes: 0, records: 1 }];
  vanishAfterOne();
  cats.put('job-1', { attempts: 2, earlier });
  const copy = openCopy('job-1', cats.context);
  copy.keep((files) => files.writeLog('out', 0, Buffer.from('old\n')));
  copy.keep((files) => files.writeRecords([running]));
  copy.close();
  const seen = await show();
  expect(seen).toMatchObject({ job: { attempts: 2, state: 'ended' }, log: 'old\none\n', states: ['running', 'running', 'ended'] });
  expect(await show()).toEqual(seen);
});

test('without --follow what was shown is not all that was asked for', async () => {
  vanishAfterOne();
  await expect(show({ follow: false })).rejects.toMatchObject({ code: 'lost' });
});
