/** Metrics: what counts as one, where it is read, and that it is read once. */
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type LineSource, type Lines, openLines } from '../../../remote-runner/lines.ts';
import { createPatternSearch, readJsonLine } from '../../../remote-runner/metric-line.ts';
import type { JobRecord } from '../../../src/protocol/job.ts';
import { useBuiltRunner } from '../../support/built-runner.ts';
import { createMachine, followToEnd, kill, runJob, specOf, type TestMachine, until } from '../../support/runner.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-metrics-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a JSON line', () => {
  test.each([
    ['{"loss": 0.5}', { values: { loss: 0.5 }, step: null, epoch: null }],
    ['  {"step": 12, "epoch": 1, "loss": 0.31, "lr": 1e-3, "time": 1700000000}  ', { values: { loss: 0.31, lr: 0.001 }, step: 12, epoch: 1 }],
    ['{"epoch": 0.5, "loss": 1, "phase": "train", "ok": true, "list": [1]}', { values: { loss: 1 }, step: null, epoch: 0.5 }],
    ['{"__proto__": 1, "loss": 2}', { values: { loss: 2 }, step: null, epoch: null }],
    // As Python writes what is no number: it comes to a note, and the rest is kept.
    ['{"step": 7, "loss": NaN, "lr": 0.1}', { values: { loss: Number.NaN, lr: 0.1 }, step: 7, epoch: null }],
    [
      '{"step": NaN, "a": -Infinity, "b": Infinity, "c\\" NaN": 1, "d": "NaN"}',
      { values: { a: -Infinity, b: Infinity, 'c" NaN': 1 }, step: null, epoch: null },
    ],
    ['{"loss": 1e999}', { values: { loss: Infinity }, step: null, epoch: null }],
  ])('%s is a metric', (line, expected) => {
    expect(readJsonLine(line)).toEqual(expected);
  });

  test.each([
    '',
    'loss: 0.5',
    '{}',
    '{"loss": "0.5"}',
    '{"loss": nan}',
    '{"loss": NaNaNaN}',
    '{"step": 3}',
    '{"time": 1700000000}',
    '[{"loss": 1}]',
    '{"loss": 0.5} and more',
    '{"level": 30, "time": 1700000000, "pid": 4, "msg": "started"}',
    '{"message": "took", "seconds": 4}',
    '{"loss": 0.5',
    'null',
  ])('%s is none', (line) => {
    expect(readJsonLine(line)).toBeNull();
  });

  test('with thousands of numbers is cut, not refused', () => {
    const line = JSON.stringify(Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`v${n}`, n])));
    expect(Object.keys(readJsonLine(line)?.values ?? {})).toHaveLength(100);
  });
});

describe('patterns', () => {
  test('find their first group, several in a line', () => {
    const { found, dropped } = createPatternSearch({ loss: 'loss=([0-9.ena-]+)', acc: 'acc ([0-9.]+)%', step: 'step (\\d+)' }).search([
      'step 3: loss=1e-3 acc 97.5%',
      'nothing',
      'loss=x',
      'loss=. acc 5%',
      'loss=nan acc 6%',
      'step 4',
    ]);
    expect(found).toEqual([
      { values: { loss: 0.001, acc: 97.5 }, step: 3, epoch: null },
      null,
      null,
      { values: { acc: 5 }, step: null, epoch: null },
      { values: { loss: Number.NaN, acc: 6 }, step: null, epoch: null },
      { values: { step: 4 }, step: 4, epoch: null },
    ]);
    expect(dropped).toEqual([]);
  });

  test('without a group, or with one that takes no part, find nothing', () => {
    expect(createPatternSearch({ a: 'loss', b: 'x(\\d)?' }).search(['loss x'])).toEqual({ found: [null], dropped: [] });
  });

  test('that take for ever are dropped, and the others go on', () => {
    const search = createPatternSearch({ bad: '(a+)+$', good: 'loss=(\\d+)' }, 50);
    const lines = [`${'a'.repeat(40)}!`, 'loss=7'];
    expect(search.search(lines)).toEqual({ found: [null, { values: { good: 7 }, step: null, epoch: null }], dropped: ['bad'] });
    expect(search.search(lines).dropped).toEqual([]);
  });
});

describe('lines', () => {
  const listed = (lines: Lines | null) => Array.from({ length: lines?.count ?? 0 }, (_, index) => ({ text: lines?.text(index), end: lines?.end(index) }));
  const readAll = (source: LineSource, final: boolean) => {
    const got: { text: string | undefined; end: number | undefined }[] = [];
    for (let more = source.read(final); more !== null; more = source.read(final)) got.push(...listed(more));
    return got;
  };

  test('come out the same however they were written, and reading can stop and go on behind any of them', () => {
    const line = fc.stringMatching(/^[a-zä{}]{0,12}$/);
    const end = fc.constantFrom('\n', '\r', '\r\n');
    let n = 0;
    fc.assert(
      fc.property(fc.array(fc.tuple(line, end), { maxLength: 15 }), line, fc.array(fc.nat(200), { maxLength: 6 }), (lines, unfinished, cuts) => {
        const file = join(folder, `lines-${n++}`);
        const bytes = Buffer.from(lines.map(([text, ending]) => text + ending).join('') + unfinished);
        const expected = [...lines.map(([text]) => text), unfinished].filter((text) => text !== '');
        const source = openLines(file, 0);
        const got: ReturnType<typeof listed> = [];
        let written = 0;
        for (const cut of [...cuts.sort((a, b) => a - b), bytes.length]) {
          appendFileSync(file, bytes.subarray(written, Math.max(written, cut)));
          written = Math.max(written, Math.min(cut, bytes.length));
          got.push(...readAll(source, false));
        }
        got.push(...readAll(source, true));
        source.close();
        expect(got.map(({ text }) => text)).toEqual(expected);
        const middle = got[Math.floor(got.length / 2)];
        if (middle === undefined) return;
        const again = openLines(file, middle.end ?? 0);
        const rest = listed(again.read(true)).map(({ text }) => text);
        again.close();
        expect(rest).toEqual(got.slice(got.indexOf(middle) + 1).map(({ text }) => text));
      }),
      { numRuns: 60 },
    );
  });

  test('that never end are skipped, and what follows is read', () => {
    const file = join(folder, 'endless');
    writeFileSync(file, `first\n${'x'.repeat(3_000_000)}`);
    const source = openLines(file, 0);
    const read = (final: boolean) => readAll(source, final).map(({ text }) => text);
    expect(read(false)).toEqual(['first']);
    appendFileSync(file, 'still the same line\nnext\n');
    expect(read(false)).toEqual(['next']);
    source.close();
  });

  test('of a file that appears later', () => {
    const file = join(folder, 'later');
    const source = openLines(file, 0);
    expect(source.read(false)).toBeNull();
    writeFileSync(file, 'here\n');
    expect(listed(source.read(false))).toEqual([{ text: 'here', end: 5 }]);
    source.close();
  });

  test.each([
    ['opened with "w" a second time', (file: string, text: string) => writeFileSync(file, text)],
    [
      'replaced by another one',
      (file: string, text: string) => {
        writeFileSync(`${file}.new`, text);
        renameSync(`${file}.new`, file);
      },
    ],
  ])('of a file that was %s are read from its start', (how, write) => {
    const file = join(folder, how);
    write(file, 'one\ntwo\n');
    const source = openLines(file, 0);
    expect(listed(source.read(false))).toHaveLength(2);
    write(file, 'three\n');
    expect(listed(source.read(true))).toEqual([{ text: 'three', end: 6 }]);
    expect(source.read(true)).toBeNull();
    source.close();
  });

  test.each([
    ['a folder', (path: string) => mkdirSync(path)],
    ['a link to itself', (path: string) => symlinkSync(path, path)],
  ])('of %s there are none, until it is a file', (what, make) => {
    const path = join(folder, what);
    make(path);
    const source = openLines(path, 0);
    expect(source.read(true)).toBeNull();
    rmSync(path, { recursive: true });
    writeFileSync(path, 'here\n');
    expect(listed(source.read(true))).toHaveLength(1);
    source.close();
  });
});

describe('of a running job', () => {
  const built = useBuiltRunner();
  let machine: TestMachine;
  beforeEach(() => {
    machine = createMachine(built.script);
  });
  afterEach(() => machine[Symbol.asyncDispose]());

  const measured = (records: readonly JobRecord[]) =>
    records.flatMap((record) => (record.type === 'metric' ? [[record.source, record.values, record.step]] : []));

  test('are read from the log, by patterns, and from the metrics file, all before the end', async () => {
    const client = await machine.connect();
    const command = `echo '{"step": 1, "loss": 0.5}'; printf '10%%\\racc is 0.25\\racc is 0.75\\n'; echo '{"step": 2, "top5": 0.9}' >> "$GPU_RUN_METRICS_FILE"; echo plain; printf '{"loss": 0.125}'`;
    const { records, log } = await runJob(client, specOf(command, { metrics: { accuracy: 'acc is ([0-9.]+)' } }));
    expect(measured(records).filter(([source]) => source !== 'file')).toEqual([
      ['json', { loss: 0.5 }, 1],
      ['regex', { accuracy: 0.25 }, null],
      ['regex', { accuracy: 0.75 }, null],
      ['json', { loss: 0.125 }, null],
    ]);
    expect(measured(records).filter(([source]) => source === 'file')).toEqual([['file', { top5: 0.9 }, 2]]);
    expect(records.at(-1)).toMatchObject({ type: 'state', state: 'ended', logOffset: log.length });
  });

  test('are read once, also when the serving process is killed again and again', async () => {
    const client = await machine.connect();
    const steps = 300;
    const command = `mkdir runs; i=0; while [ $i -lt ${steps} ]; do i=$((i+1)); echo "{\\"step\\": $i, \\"loss\\": 0.5}"; echo "{\\"step\\": $i, \\"x\\": 1}" >> "$GPU_RUN_METRICS_FILE"; sleep 0.005; done`;
    const spec = specOf(command, { outputs: ['runs'] });
    await client.call('submit', { spec });
    const following = followToEnd(client, spec.id);
    for (let kills = 0; kills < 4; kills++) {
      await until(() => existsSync(machine.jobFile(spec.id, 'log')), 'the log');
      await new Promise((resolve) => setTimeout(resolve, 200));
      for (const pid of machine.pids('serve')) kill(pid);
    }
    const { records } = await following;
    const expected = Array.from({ length: steps }, (_, n) => n + 1);
    expect(records.flatMap((record) => (record.type === 'metric' && record.source === 'json' ? [record.step] : []))).toEqual(expected);
    expect(records.flatMap((record) => (record.type === 'metric' && record.source === 'file' ? [record.step] : []))).toEqual(expected);
    expect(records.map(({ n }) => n)).toEqual(records.map((_record, index) => index + 1));
    const written = readFileSync(join(machine.workdir, 'runs/gpu-run', spec.id, 'metrics.jsonl'), 'utf8')
      .trim()
      .split('\n');
    const told = records.flatMap((record) => (record.type === 'metric' ? [{ step: record.step, time: record.t / 1000, ...record.values }] : []));
    expect(written.map((line) => JSON.parse(line))).toEqual(told);
  });

  test('a job that makes a pipe of its metrics file holds nothing up, and ends as it should', async () => {
    const client = await machine.connect();
    const { summary } = await runJob(client, specOf(`mkfifo "$GPU_RUN_METRICS_FILE"; echo '{"loss": 1}'; exit 3`));
    expect(summary).toMatchObject({ state: 'ended', end: { code: 3 } });
  });

  test('patterns that gave no number are told at the end; those never found, where the job has done its work', async () => {
    const client = await machine.connect();
    const metrics = { x: 'x=(\\S+)', y: 'y=(\\d+)', loss: 'loss=(\\d+)' };
    for (const [code, never] of [
      [0, 1],
      [3, 0],
    ] as const) {
      const { records } = await runJob(client, specOf(`echo x=abc; echo loss=3; exit ${code}`, { metrics }));
      expect(records.flatMap((record) => (record.type === 'note' ? [record.text] : []))).toEqual([
        "The pattern of the metric 'x' found 'abc', and never a number: there are no values of it.",
        ...(never === 1 ? ["The pattern of the metric 'y' was never found in the log: there are no values of it."] : []),
      ]);
    }
  });

  test('a pattern that takes for ever is dropped with a note, and the job ends as it should', async () => {
    const client = await machine.connect();
    const { records, summary } = await runJob(client, specOf(`echo ${'a'.repeat(60)}!; echo loss=3`, { metrics: { bad: '(a+)+$', loss: 'loss=(\\d+)' } }));
    expect(summary.end).toMatchObject({ code: 0 });
    expect(records.filter(({ type }) => type === 'note')).toMatchObject([{ text: expect.stringContaining("'bad'") }]);
    expect(measured(records)).toEqual([['regex', { loss: 3 }, null]]);
  });
});
