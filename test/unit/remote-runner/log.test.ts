/** A job's log beside its bytes: when they came, two streams, places in it. */
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readGap } from '../../../remote-runner/log-gap.ts';
import { allMarks, openLogTimes, readMarks } from '../../../remote-runner/log-times.ts';
import type { LogFiles } from '../../../remote-runner/machine-folder.ts';
import type { Calls } from '../../../src/protocol/calls.ts';
import type { LogGap, LogStream, TimeMark } from '../../../src/protocol/log.ts';
import type { RunnerClient } from '../../../src/runner/client.ts';
import { useBuiltRunner } from '../../support/built-runner.ts';
import { createMachine, specOf, statesOf, summaryOf, type TestMachine, until } from '../../support/runner.ts';
import { logBytes } from '../../support/survival.ts';

const built = useBuiltRunner();
let machine: TestMachine;

beforeEach(() => {
  machine = createMachine(built.script);
});
afterEach(() => machine[Symbol.asyncDispose]());

type Event = Calls['follow']['event'];

/** All that one call tells, by stream. `onEvent` may act upon it. */
async function followStreams(client: RunnerClient, params: Omit<Calls['follow']['params'], 'record' | 'follow'>, onEvent: (event: Event) => void = () => {}) {
  const call = client.open('follow', { record: 0, follow: true, ...params });
  const logs: Record<LogStream, Buffer[]> = { out: [], err: [] };
  const times: Record<LogStream, TimeMark[]> = { out: [], err: [] };
  const ends: Record<LogStream, number> = { out: params.logOffset, err: params.errOffset ?? 0 };
  const events: Event[] = [];
  let stream: LogStream = 'out';
  for await (const part of call.parts()) {
    if (part.kind === 'block') {
      expect(part.block.offset).toBe(ends[stream]);
      ends[stream] += part.block.bytes.length;
      logs[stream].push(Buffer.from(part.block.bytes));
      continue;
    }
    const event = part.value as Event;
    if (event.type === 'stream') stream = event.stream;
    if (event.type === 'times') times[event.stream].push(...event.marks);
    if (event.type === 'gap') ends[event.stream] = event.to;
    events.push(event);
    onEvent(event);
  }
  await call.result;
  return { out: Buffer.concat(logs.out), err: Buffer.concat(logs.err), times, events };
}

const timeOf = (marks: readonly TimeMark[], offset: number) => marks.find(([to]) => to > offset)?.[1] ?? Number.NaN;
const waitFor = (name: string) => `while [ ! -e ${name} ]; do sleep 0.02; done`;

describe('times', () => {
  test('of each line: neither before it was printed nor after it was told', async () => {
    const client = await machine.connect();
    const spec = specOf(`date +%s%3N; ${waitFor('go')}; date +%s%3N; echo end`);
    await client.call('submit', { spec });
    let told = 0;
    const isMarked = () => [...allMarks(machine.jobFile(spec.id, 'log.times'))].length > 0;
    const { out, times } = await followStreams(client, { id: spec.id, logOffset: 0, times: { out: 0, err: 0 } }, (event) => {
      if (event.type !== 'times' || told > 0) return;
      told = Date.now();
      // Where the runner is slow to mark what it has sent, the call says itself when it saw it: what comes later learns the mark.
      void until(isMarked, 'the mark', 60_000).then(() => writeFileSync(join(machine.workdir, 'go'), ''));
    });
    const marks = [...allMarks(machine.jobFile(spec.id, 'log.times'))];
    const [first = '', second = ''] = out.toString().split('\n');
    expect(timeOf(times.out, 0)).toBeGreaterThanOrEqual(Number(first));
    expect(timeOf(times.out, 0)).toBeLessThanOrEqual(told);
    expect(timeOf(times.out, first.length + 1)).toBeGreaterThanOrEqual(Number(second));
    expect(times.out.at(-1)?.[0]).toBe(out.length);
    expect(timeOf(marks, 0)).toBeGreaterThanOrEqual(Number(first));
    expect(timeOf(marks, 0)).toBeLessThanOrEqual(Number(second));
    expect(timeOf(marks, first.length + 1)).toBeGreaterThanOrEqual(Number(second));

    // Whoever comes later learns what was marked, and only what it does not know yet.
    const again = await followStreams(client, { id: spec.id, logOffset: out.length, times: { out: first.length + 1, err: 0 } });
    expect(again.times.out).toEqual(marks.filter(([offset]) => offset > first.length + 1));
    const place = (sinceMs: number | null, lines: number | null) => client.call('seek', { id: spec.id, stream: 'out', sinceMs, lines });
    expect(await place(Number(second), null)).toEqual({ offset: first.length + 1, bytes: out.length, gap: null });
    expect(await place(Number(first), 1)).toEqual({ offset: out.length - 4, bytes: out.length, gap: null });
    expect(await place(null, 2)).toEqual({ offset: first.length + 1, bytes: out.length, gap: null });
    expect((await place(Date.now() + 60_000, null)).offset).toBe(out.length);
    await expect(client.call('seek', { id: spec.id, stream: 'neither' as 'out', sinceMs: null, lines: null })).rejects.toMatchObject({ code: 'bad-input' });
  });

  test('nobody who did not ask is told of them, nor of stderr apart', async () => {
    const client = await machine.connect();
    const spec = specOf('echo out; echo err >&2');
    await client.call('submit', { spec });
    const { out, events } = await followStreams(client, { id: spec.id, logOffset: 0 });
    expect(out.toString()).toBe('out\nerr\n');
    expect((await summaryOf(client, spec.id)).errBytes).toBeUndefined();
    expect(events.filter(({ type }) => type !== 'records' && type !== 'heartbeat')).toEqual([]);
  });
});

describe('a log that is larger than it may be', () => {
  test('goes on, and followers are told what is gone', async () => {
    const client = await machine.connect();
    const count = 200_000;
    const lines = Buffer.from(Array.from({ length: count }, (_, n) => `${n + 1}\n`).join(''));
    const spec = specOf(`seq ${count}; ${waitFor('go')}; echo end`, { logLimit: 256 * 1024 });
    await client.call('submit', { spec });
    // It comes in portions, and every so often some of it goes.
    const files = { stream: 'out', bytes: machine.jobFile(spec.id, 'log'), times: '', gap: machine.jobFile(spec.id, 'log.gap') } as const;
    const kept = (gap: LogGap | null) => lines.length - (gap === null ? 0 : gap.to - gap.from);
    await until(() => logBytes(machine, spec.id) === lines.length && kept(readGap(files)) <= 256 * 1024, 'the gap');
    writeFileSync(join(machine.workdir, 'go'), '');
    const { out, events } = await followStreams(client, { id: spec.id, logOffset: 0 });
    const gaps = events.flatMap((event) => (event.type === 'gap' ? [event] : []));
    expect(gaps).toEqual([{ type: 'gap', stream: 'out', from: expect.any(Number), to: expect.any(Number) }]);
    const [{ from, to } = { from: 0, to: 0 }] = gaps;
    expect(out.equals(Buffer.concat([lines.subarray(0, from), lines.subarray(to), Buffer.from('end\n')]))).toBe(true);
    const records = events.flatMap((event) => (event.type === 'records' ? event.records : []));
    expect(records.at(-1)).toMatchObject({ state: 'ended', end: { code: 0 }, logOffset: lines.length + 4 });
    expect(records.filter(({ type }) => type === 'note')).toMatchObject([
      { level: 'warn', text: expect.stringContaining('its first part and its newest stay') },
    ]);
    const inside = await followStreams(client, { id: spec.id, logOffset: from + 10 });
    expect(inside.events.find(({ type }) => type === 'gap')).toMatchObject({ from: from + 10, to });
  });
});

describe('the file of times', () => {
  let files: LogFiles;
  beforeEach(() => {
    const bytes = join(machine.root, 'log');
    files = { stream: 'out', bytes, times: `${bytes}.times`, gap: `${bytes}.gap` };
  });

  test('what came while nobody looked has the time of the first look after; a torn mark is cut off', () => {
    let now = 1_000;
    writeFileSync(files.bytes, 'one\n');
    const first = openLogTimes(files, () => now);
    first.look();
    first.close();
    appendFileSync(files.times, '7 99');
    appendFileSync(files.bytes, 'two\n');
    now = 50_000;
    const second = openLogTimes(files, () => now);
    second.look();
    second.close();
    expect([...allMarks(files.times)]).toEqual([
      [4, 1_000],
      [8, 50_000],
    ]);
  });

  test('nothing is written while nothing is printed', () => {
    let now = 1_000;
    writeFileSync(files.bytes, '');
    const times = openLogTimes(files, () => now);
    for (; now < 100_000; now += 1_000) times.look();
    times.close();
    expect(existsSync(files.times)).toBe(false);
  });

  test('is read while it grows, a mark only when it is whole', () => {
    const reader = readMarks(files.times);
    expect(reader.read()).toEqual([]);
    writeFileSync(files.times, '4 1000\n8 2');
    expect(reader.read()).toEqual([[4, 1_000]]);
    appendFileSync(files.times, '000\n');
    expect(reader.read()).toEqual([[8, 2_000]]);
    reader.close();
  });
});

describe('stdout and stderr apart', () => {
  test('each has its own bytes and times; the runner’s own words are errors', async () => {
    const client = await machine.connect();
    const spec = specOf('echo out; echo err >&2; printf "\\377\\000" >&2', { splitLog: true, setup: 'echo prepared; echo careful >&2' });
    await client.call('submit', { spec });
    const { out, err, times } = await followStreams(client, { id: spec.id, logOffset: 0, errOffset: 0, times: { out: 0, err: 0 } });
    expect(out.toString('latin1')).toBe('prepared\nout\n');
    expect(err.toString('latin1')).toBe('careful\nerr\n\xff\0');
    expect([times.out.at(-1)?.[0], times.err.at(-1)?.[0]]).toEqual([out.length, err.length]);
    expect(readFileSync(machine.jobFile(spec.id, 'log'))).toEqual(out);
    expect(await summaryOf(client, spec.id)).toMatchObject({ logBytes: out.length, errBytes: err.length });

    const later = await followStreams(client, { id: spec.id, logOffset: 9, errOffset: 8 });
    expect([later.out.toString('latin1'), later.err.toString('latin1')]).toEqual(['out\n', 'err\n\xff\0']);
    expect((await client.call('seek', { id: spec.id, stream: 'err', sinceMs: null, lines: 2 })).offset).toBe(8);

    await expect(followStreams(client, { id: spec.id, logOffset: 0, errOffset: err.length + 1 })).rejects.toMatchObject({ code: 'bad-input' });

    const unknown = specOf(['no-such-program'], { splitLog: true });
    await client.call('submit', { spec: unknown });
    expect((await followStreams(client, { id: unknown.id, logOffset: 0, errOffset: 0 })).err.toString()).toContain('no-such-program: command not found');
  });

  test('much of both at once, to followers that come in the middle', async () => {
    const client = await machine.connect();
    const lines = (name: string) => Array.from({ length: 10_000 }, (_, n) => `${name} ${n}\n`).join('');
    const spec = specOf('i=0; while [ $i -lt 10000 ]; do echo "out $i"; echo "err $i" >&2; i=$((i+1)); done', { splitLog: true });
    await client.call('submit', { spec });
    const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex');
    for (const { out, err, events } of await Promise.all([1, 2].map(() => followStreams(client, { id: spec.id, logOffset: 0, errOffset: 0 })))) {
      expect([sha256(out), sha256(err)]).toEqual([sha256(lines('out')), sha256(lines('err'))]);
      expect(statesOf(events.flatMap((event) => (event.type === 'records' ? event.records : [])))).toEqual(['queued', 'running', 'ended']);
    }
  });
});
