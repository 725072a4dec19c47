/** `metrics.jsonl` and the event file among a job's outputs: always what the journal says, whatever happens to them. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { JobOrder } from '../../../remote-runner/job-files.ts';
import { openJournal } from '../../../remote-runner/journal.ts';
import { jobFolder, machineFolder } from '../../../remote-runner/machine-folder.ts';
import { openMetricFiles } from '../../../remote-runner/metric-files.ts';
import { eventFileHead, scalarEvent } from '../../../src/protocol/event-file.ts';
import { isMetricsFile, metricsPlace } from '../../../src/protocol/metric-files.ts';

const orderOf = (outputs: readonly string[]) => ({ id: 'job-1', attempt: 1, createdAt: 1_763_700_000_500, outputs }) as unknown as JobOrder;

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'gpu-run-metric-files-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function setUp(outputs: readonly string[] = ['runs']) {
  const machine = machineFolder(root);
  const job = jobFolder(machine, 'job-1');
  mkdirSync(job.path, { recursive: true });
  mkdirSync(machine.workdir, { recursive: true });
  let t = 1_763_700_001_000;
  const journal = openJournal(job.journal, () => t);
  const order = orderOf(outputs);
  const place = metricsPlace(order);
  const path = (name: 'lines' | 'events') => join(machine.workdir, place?.[name] ?? 'none');
  const add = (values: Record<string, number>, step: number | null = null, epoch: number | null = null) => {
    t += 500;
    journal.append([{ type: 'metric', values, step, epoch, source: 'json', at: 0 }]);
  };
  const lines = () =>
    existsSync(path('lines'))
      ? readFileSync(path('lines'), 'utf8')
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line))
      : null;
  return {
    machine,
    job,
    order,
    path,
    add,
    lines,
    open: (now?: () => number) => openMetricFiles(machine, job, order, now),
    makeOutput: () => mkdirSync(join(machine.workdir, 'runs')),
  };
}

describe('the place', () => {
  test.each([
    [['runs'], 'runs'],
    [['model.bin', 'out'], 'out'],
    [['checkpoints', 'runs/'], 'runs'],
    [['checkpoints/'], 'checkpoints'],
    [['a/b'], 'a/b'],
  ])('with the outputs %j is below %s', (outputs, below) => {
    expect(metricsPlace(orderOf(outputs))).toEqual({
      output: below,
      folder: `${below}/gpu-run/job-1`,
      lines: `${below}/gpu-run/job-1/metrics.jsonl`,
      events: `${below}/gpu-run/job-1/events.out.tfevents.1763700000.gpu-run.1`,
    });
  });

  test('is nowhere without a folder, and its files are known as ours', () => {
    expect(metricsPlace(orderOf([]))).toBeNull();
    expect(metricsPlace(orderOf(['model.bin']))).toBeNull();
    const second = metricsPlace({ ...orderOf(['runs']), attempt: 2 });
    expect([second?.lines, second?.events].map((path) => isMetricsFile(path ?? ''))).toEqual([true, true]);
    expect(second?.lines).toBe('runs/gpu-run/job-1/metrics.2.jsonl');
    expect(['runs/metrics.jsonl', 'runs/gpu-run/job-1/model.bin', 'runs/events.out.tfevents.1.host.1'].filter(isMetricsFile)).toEqual([]);
  });
});

describe('the files', () => {
  test('say every record once, with its step, epoch and time', () => {
    const { open, add, lines, path, makeOutput } = setUp();
    makeOutput();
    const files = open();
    files.update(false);
    expect(lines()).toBeNull();
    add({ loss: 0.5, time: 3 }, 10, 1);
    files.update(false);
    add({ loss: 0.25 }, 20);
    add({ acc: 0.75 });
    files.update(false);
    files.update(true);
    files.close();
    expect(lines()).toEqual([
      { step: 10, epoch: 1, time: 1763700001.5, loss: 0.5 },
      { step: 20, time: 1763700002, loss: 0.25 },
      { time: 1763700002.5, acc: 0.75 },
    ]);
    const expected = [
      eventFileHead(1763700000.5),
      scalarEvent(1763700001.5, 10, { loss: 0.5, time: 3 }),
      scalarEvent(1763700002, 20, { loss: 0.25 }),
      scalarEvent(1763700002.5, 20, { acc: 0.75 }),
    ];
    expect(readFileSync(path('events'))).toEqual(Buffer.concat(expected));
  });

  test('without steps go by epochs, and without those count', () => {
    const { open, add, path, makeOutput } = setUp();
    makeOutput();
    add({ a: 1 }, null, 7);
    add({ a: 1 }, null, 7.5);
    add({ a: 1 });
    const files = open();
    files.update(false);
    files.close();
    const events = [7, 2, 3].map((step, index) => scalarEvent(1763700001.5 + index / 2, step, { a: 1 }));
    expect(readFileSync(path('events')).subarray(40)).toEqual(Buffer.concat(events));
  });

  test('are right again after a crash at any byte, with foreign bytes behind or within', () => {
    const { open, add, path, makeOutput } = setUp();
    makeOutput();
    for (let step = 0; step < 6; step++) add({ loss: 1 / (step + 1) }, step);
    const whole = () => [readFileSync(path('lines')), readFileSync(path('events'))];
    const first = open();
    first.update(false);
    first.close();
    const expected = whole();
    fc.assert(
      fc.property(fc.constantFrom('lines' as const, 'events' as const), fc.nat(400), fc.constantFrom('cut', 'append', 'zero'), (name, at, fault) => {
        const bytes = readFileSync(path(name));
        if (fault === 'cut') truncateSync(path(name), Math.min(at, bytes.length));
        else if (fault === 'append') appendFileSync(path(name), 'x'.repeat(at));
        else writeFileSync(path(name), bytes.fill(0, Math.min(at, bytes.length)));
        const files = open();
        files.update(false);
        files.close();
        expect(whole()).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  });

  test("wait for the job's own folder, and are written anew when the job removes it", () => {
    const { open, add, lines, machine, makeOutput } = setUp();
    const files = open();
    add({ loss: 1 }, 1);
    files.update(false);
    expect(readdirSync(machine.workdir)).toEqual([]);
    makeOutput();
    files.update(false);
    expect(lines()).toHaveLength(1);
    rmSync(join(machine.workdir, 'runs'), { recursive: true });
    add({ loss: 2 }, 2);
    files.update(false);
    expect(readdirSync(machine.workdir)).toEqual([]);
    makeOutput();
    files.update(true);
    expect(lines()).toMatchObject([{ loss: 1 }, { loss: 2 }]);
    files.close();
  });

  test('make the folder of a job that has ended without one, if its name is a folder’s', () => {
    const runs = setUp();
    const files = runs.open();
    files.update(true);
    expect(readdirSync(runs.machine.workdir)).toEqual([]); // no metrics, no files
    runs.add({ loss: 1 }, 1);
    files.update(true);
    expect(runs.lines()).toHaveLength(1);
    files.close();
    rmSync(root, { recursive: true });
    const model = setUp(['model']);
    model.add({ loss: 1 }, 1);
    const other = model.open();
    other.update(true);
    expect(readdirSync(model.machine.workdir)).toEqual([]);
    other.close();
  });

  test('of a job without metrics cost the same after a day as at the start: its journal is read once', () => {
    const { open, job, makeOutput, path } = setUp();
    makeOutput();
    const files = open();
    const notes = Array.from({ length: 20 }, (_, n) => `${JSON.stringify({ n: n + 1, t: 1, type: 'note', level: 'info', text: 'x' })}\n`);
    writeFileSync(job.journal, notes.join(''));
    files.update(false);
    expect(existsSync(path('lines'))).toBe(false);
    // Who read it again would stop at the first line, which is no record.
    writeFileSync(job.journal, 'x'.repeat(notes.join('').length));
    appendFileSync(job.journal, `${JSON.stringify({ n: 21, t: 1_000, type: 'metric', values: { loss: 1 }, step: 1, epoch: null, source: 'json', at: 0 })}\n`);
    files.update(false);
    expect(existsSync(path('lines'))).toBe(true);
    files.close();
  });

  test('hold nothing up where the job has made a pipe of one', () => {
    const { open, add, path, makeOutput, lines } = setUp();
    makeOutput();
    mkdirSync(dirname(path('lines')), { recursive: true });
    execFileSync('mkfifo', [path('lines')]);
    let now = 0;
    const files = open(() => now);
    add({ loss: 1 }, 1);
    files.update(false);
    rmSync(path('lines'));
    now += 5_000;
    files.update(false);
    expect(lines()).toHaveLength(1);
    files.close();
  });

  test('that can’t be written are tried again later, and follow no link', () => {
    const { open, add, path, machine, makeOutput, lines } = setUp();
    makeOutput();
    mkdirSync(dirname(path('lines')), { recursive: true });
    const target = join(machine.root, 'precious');
    writeFileSync(target, 'mine');
    symlinkSync(target, path('lines'));
    let now = 0;
    const files = open(() => now);
    add({ loss: 1 }, 1);
    files.update(false);
    expect(readFileSync(target, 'utf8')).toBe('mine');
    rmSync(path('lines'));
    files.update(false);
    expect(existsSync(path('lines'))).toBe(false);
    now += 5_000;
    files.update(false);
    expect(lines()).toHaveLength(1);
    files.close();
  });
});
