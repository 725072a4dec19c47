/** `logs` of a job whose machine is up. */
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Report } from '../../../src/core/reporter.ts';
import { follow } from '../../../src/workflows/follow.ts';
import { followFrom } from '../../../src/workflows/follow-from.ts';
import type { FollowInput } from '../../../src/workflows/follow-input.ts';
import type { JobEvent, LogEvent } from '../../../src/workflows/job-event.ts';
import { reachMachine } from '../../../src/workflows/reach-machine.ts';
import { report } from '../../../src/workflows/report.ts';
import { processesHolding, until } from '../../support/runner.ts';
import { runOn, usePipedMachine } from './piped-machine.ts';

const piped = usePipedMachine();

async function show(jobId: string, more: Partial<FollowInput>): Promise<{ readonly log: readonly LogEvent[]; readonly text: string }> {
  const log: LogEvent[] = [];
  const onEvent = (event: JobEvent) => void (event.type === 'log' && log.push(event));
  await follow({ jobId, after: 0, tailLines: null, follow: false, ...more }, piped.context, onEvent);
  return { log, text: Buffer.concat(log.map(({ bytes }) => bytes)).toString() };
}

test('whoever looks a second time is told the times again, and they are kept once', async () => {
  const id = await runOn(piped, 'echo one; sleep 0.3; echo two');
  const first = await show(id, { stamped: true });
  const second = await show(id, { stamped: true, follow: true });
  expect(first.text).toBe('one\ntwo\n');
  expect(first.log.every(({ at }) => typeof at === 'number')).toBe(true);
  expect(second).toEqual(first);
  const times = () => readFileSync(join(piped.context.home.jobs, id, 'log.times'), 'utf8');
  const kept = times();
  const last = first.log.at(-1);
  expect((await show(id, { sinceMs: last?.at ?? 0 })).text).toBe(first.text.slice(last?.offset));
  const tail = await show(id, { tailLines: 1, stamped: true });
  expect([tail.text, tail.log[0]?.at]).toEqual(['two\n', last?.at]);
  expect(times()).toBe(kept);
});

test('the report of a job that runs goes by the clock of its machine; who follows one that waits is told for what', async () => {
  const id = await runOn(piped, 'echo hello; sleep 30', { until: 'running' });
  const ahead = { ...piped.context.clock, now: () => Date.now() + 3_600_000 };
  expect((await report(id, { ...piped.context, clock: ahead })).times.run).toBeLessThan(600);
  const waiting = await runOn(piped, 'echo hello', { until: 'queued' });
  const left = new AbortController();
  const told: string[] = [];
  const note = (event: Report) => {
    if (event.type !== 'phase' || event.phase !== 'queue') return;
    told.push(event.text);
    left.abort();
  };
  const context = { ...piped.context, signal: left.signal, reporter: { report: note } };
  await expect(follow({ jobId: waiting, after: 0, tailLines: null, follow: true }, context, () => {})).rejects.toMatchObject({ code: 'interrupted' });
  expect(told).toEqual([`${waiting} waits for ${id}, which runs on 'cats'`]);
});

test('one stream of two; of a job that has both in one log that is refused, and nothing stays open', async () => {
  const split = await runOn(piped, 'echo out; echo err >&2', { splitLog: true });
  expect((await show(split, { streams: 'err' })).text).toBe('err\n');
  const copied = (file: string) => readFileSync(join(piped.context.home.jobs, split, file), 'utf8');
  expect([copied('log'), copied('err')]).toEqual(['', 'err\n']); // what nobody wants to see is not paid for
  expect((await show(split, { after: -2, streams: 'out' })).text).toBe('t\n');
  const joined = await runOn(piped, 'echo both');
  await expect(show(joined, { streams: 'err' })).rejects.toMatchObject({ code: 'bad-input' });
  await until(() => processesHolding(`${piped.home}/.gpu-run/runner/test-1/runner.mjs connect`).length === 0, 'the end of all connections', 20_000, 200);
});

test('what a job writes while it is looked at is not shown to who asked for the end of what was there, but kept', async () => {
  const id = await runOn(piped, 'while :; do echo line; sleep 0.001; done & sleep 8; kill $!', { until: 'running' });
  expect((await show(id, { tailLines: 2, stamped: true })).text.split('\n').length).toBeLessThanOrEqual(3);
  expect((await show(id, { sinceMs: Date.now() + 3_600_000 })).log).toEqual([]);
});

test('stamped pieces are told in their order, and before the end, to whoever is slower than they come', async () => {
  const id = await runOn(piped, 'seq -f "line %.0f" 100000');
  const folder = join(piped.home, '.gpu-run/machines', piped.machine.id, 'jobs', id);
  const log = readFileSync(join(folder, 'log'));
  const ends = Array.from({ length: Math.floor(log.length / 20_000) }, (_, n) => log.indexOf(10, (n + 1) * 20_000) + 1);
  writeFileSync(join(folder, 'log.times'), [...ends, log.length].map((end, n) => `${end} ${1e12 + n * 100}\n`).join(''));
  const told: (string | number)[] = [];
  let at = 0;
  const onEvent = async (event: JobEvent) => {
    if (event.type === 'log') {
      if (event.offset !== at) told.push(event.offset);
      at = event.offset + event.bytes.length;
      await new Promise(setImmediate);
    } else if (event.type === 'state') told.push(`${event.state} at ${at}`);
  };
  await follow({ jobId: id, after: 0, tailLines: null, follow: true, stamped: true }, piped.context, onEvent);
  expect(told.slice(-1)).toEqual([`ended at ${log.length}`]);
  expect(told.filter((what) => typeof what === 'number')).toEqual([]);
});

test('the last line of a long log costs a line, also where the machine has given up something long before it', async () => {
  const id = await runOn(piped, 'head -c 3000000 /dev/zero | tr "\\0" "x" | fold; echo; echo last');
  const copy = join(piped.context.home.jobs, id, 'log');
  await show(id, {});
  truncateSync(copy, 1000);
  writeFileSync(join(piped.context.home.jobs, id, 'log.times'), '');
  writeFileSync(join(piped.home, '.gpu-run/machines', piped.machine.id, 'jobs', id, 'log.gap'), '{"from":500,"to":5000}');
  expect((await show(id, { tailLines: 1 })).text).toBe('last\n');
  expect(statSync(copy).size).toBe(1000);
});

test('metrics that another follower copies meanwhile are told once', async () => {
  const id = await runOn(piped, 'i=0; while [ $i -lt 100 ]; do i=$((i+1)); echo "{\\"step\\": $i, \\"loss\\": 0.5}"; sleep 0.02; done', { until: 'running' });
  let got = 0;
  const other = follow({ jobId: id, after: 0, tailLines: null, follow: true }, piped.context, (event) => {
    if (event.type === 'metric') got += 1;
  });
  await until(() => got > 10, 'some metrics', 20_000, 50);
  writeFileSync(join(piped.home, '.gpu-run/machines', piped.machine.id, 'jobs', id, 'log.gap'), '{"from":2,"to":9}');
  const steps: (number | null)[] = [];
  await follow({ jobId: id, after: 0, tailLines: 500, follow: true }, piped.context, async (event) => {
    if (event.type === 'metric') steps.push(event.step);
    if (steps.length < 30) await new Promise((resolve) => setTimeout(resolve, 20)); // the other one is further by then
  });
  await other;
  expect(steps).toEqual(Array.from({ length: 100 }, (_, n) => n + 1));
});

test('whoever looks on and fails ends the following with that error, while the job is silent too', async () => {
  const id = await runOn(piped, 'echo one; sleep 0.4; echo two; sleep 30', { until: 'running' });
  const failure = new Error('the disk of whoever looks on is full');
  const seen: string[] = [];
  const onEvent = (event: JobEvent) => {
    if (event.type !== 'log') return;
    seen.push(Buffer.from(event.bytes).toString());
    if (seen.join('').includes('two')) throw failure;
  };
  await expect(follow({ jobId: id, after: 0, tailLines: null, follow: true }, piped.context, onEvent)).rejects.toBe(failure);
  expect(seen.join('')).toBe('one\ntwo\n');
  expect(readFileSync(join(piped.context.home.jobs, id, 'log'), 'utf8')).toBe('one\ntwo\n');
});

test('a log that came packed is booked as what left the machine', async () => {
  const { context } = piped;
  const id = await runOn(piped, 'seq -f "step %.0f loss=0.25" 100000');
  const job = context.ledger.getJob(id);
  if (job === null) return expect.unreachable('the job is in the ledger');
  const egress = { perGb: 0.1, currency: 'USD', asOf: 1, source: 'test' } as const;
  const machine = { ...piped.machine, offer: { ...piped.machine.offer, egress } };
  let shown = 0;
  const onEvent = (event: JobEvent) => void (event.type === 'log' && (shown += event.bytes.length));
  await followFrom({ job, machine, logOffset: 0, record: 0, follow: false, first: await reachMachine(machine, context) }, context, onEvent);
  const booked = context.ledger.get(machine.id)?.pulled?.[id] ?? 0;
  expect(booked).toBeGreaterThan(10_000);
  expect(booked).toBeLessThan(shown / 2);
});

test('what the machine has given up since is shown from this computer as far as it is here; the rest is told as gone', async () => {
  const id = await runOn(piped, 'echo one; sleep 0.3; echo two; sleep 0.3; echo three');
  const whole = await show(id, { stamped: true });
  expect(whole.text).toBe('one\ntwo\nthree\n');
  const gapOnMachine = join(piped.home, '.gpu-run/machines', piped.machine.id, 'jobs', id, 'log.gap');
  writeFileSync(gapOnMachine, '{"from":2,"to":9}');
  const byByte = ({ log }: { readonly log: readonly LogEvent[] }) =>
    log.flatMap(({ offset, bytes, at }) => [...bytes].map((byte, n) => [offset + n, byte, at]));
  expect(byByte(await show(id, { stamped: true, follow: true }))).toEqual(byByte(whole));
  // The place to begin is looked for in what is here, too.
  expect((await show(id, { tailLines: 2 })).text).toBe('two\nthree\n');
  expect((await show(id, { tailLines: 2, follow: true })).text).toBe('two\nthree\n');
  expect((await show(id, { sinceMs: whole.log.find(({ offset }) => offset === 4)?.at ?? 0 })).text).toBe('two\nthree\n');
  truncateSync(join(piped.context.home.jobs, id, 'log'), 5);
  // What lies behind all of it costs no more than itself.
  writeFileSync(gapOnMachine, '{"from":2,"to":6}');
  expect((await show(id, { tailLines: 1 })).text).toBe('three\n');
  expect(statSync(join(piped.context.home.jobs, id, 'log')).size).toBe(5);
  writeFileSync(gapOnMachine, '{"from":2,"to":9}');
  const told: unknown[] = [];
  await follow({ jobId: id, after: 0, tailLines: null, follow: true }, piped.context, (event) => {
    if (event.type === 'log') told.push(Buffer.from(event.bytes).toString());
    if (event.type === 'gap') told.push([event.from, event.to]);
  });
  expect(told).toEqual(['on', 'e\nt', [5, 9], 'hree\n']);
  expect(readFileSync(join(piped.context.home.jobs, id, 'log.gaps'), 'utf8')).toBe('5 9\n');
});
